local expect = require "hearth.expect"

return {
  kind = "chain",
  files = {
    ["start.txt"] = "Well done! The next clue is in attic/trunk.txt\n",
    ["attic/trunk.txt"] = "The prize is under the yellow bucket.\n",
    ["attic/lamp.txt"] = "Nothing but dust.\n",
  },
  tools = { "read_file", "list_files" },
  turns = { "Read start.txt and follow the clue. Where is the prize?" },
  check = expect.answer "yellow bucket",
  replies = {
    { "read_file", { path = "start.txt" } }, { "read_file", { path = "attic/trunk.txt" } }, "It is under the yellow bucket.",
  },
}
