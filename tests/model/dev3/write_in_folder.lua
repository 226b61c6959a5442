local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["notes/first.txt"] = "water the lemon tree\n" },
  tools = { "write_file", "list_files" },
  turns = { "Could you save \"lend Matteo the drill\" in notes/second.txt?" },
  check = expect.all {
    expect.file("notes/second.txt", { "lend", "Matteo", "drill" }), expect.file("notes/first.txt", "lemon"), expect.answer(),
  },
  replies = { { "write_file", { path = "notes/second.txt", content = "lend Matteo the drill" } }, "I saved it in notes/second.txt." },
}
