local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["maps/north.txt"] = "n", ["maps/south.txt"] = "s", ["maps/east.txt"] = "e" },
  tools = { "list_files", "read_file" },
  turns = { "How many files are in maps?" },
  check = expect.all { expect.called("list_files"), expect.answer(expect.any { 3, "three" }) },
  replies = { { "list_files", { path = "maps" } }, "There are 3 files in maps." },
}
