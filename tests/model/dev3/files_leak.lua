local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["monday.txt"] = "oil the hinge\n", ["tuesday.txt"] = "leak under the sink\ncall the plumber\n",
    ["friday.txt"] = "sweep the yard\n",
  },
  tools = { "search_files", "list_files" },
  turns = { "look for leak in my files and tell me where the leak is" },
  check = expect.answer("sink"),
  replies = { { "search_files", { query = "leak" } }, "The leak is under the sink." },
}
