local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["minutes/jan.txt"] = "a\n", ["minutes/feb.txt"] = "b\n", ["minutes/apr.txt"] = "c\n", ["minutes/may.txt"] = "d\n" },
  tools = { "list_files", "calculate" },
  turns = { "How many files are in minutes?" },
  check = expect.answer(expect.any { 4, "four" }),
  replies = { { "list_files", { path = "minutes" } }, "There are 4 files." },
}
