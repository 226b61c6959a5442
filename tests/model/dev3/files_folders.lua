local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["boats/a.txt"] = "sail\n", ["mules/a.txt"] = "hay\n", ["tents/a.txt"] = "pegs\n" },
  tools = { "list_files", "now" },
  turns = { "I'd like to know what folders there are in my workspace." },
  check = expect.answer { "boats", "mules", "tents" },
  replies = { { "list_files", {} }, "There are the folders boats, mules and tents." },
}
