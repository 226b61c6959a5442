local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["apples.txt"] = "a\n", ["pears.txt"] = "p\n", ["plums.md"] = "q\n" },
  tools = { "list_files", "read_file" },
  turns = { "Which files are there?" },
  check = expect.answer { "apples.txt", "pears.txt", "plums.md" },
  replies = { { "list_files", {} }, "There are apples.txt, pears.txt and plums.md." },
}
