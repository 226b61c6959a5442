local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "write_file", "read_file", "list_files" },
  turns = { "Save 'lunch at one' in memo.txt, nothing else.", "ok great" },
  check = expect.all {
    expect.file("memo.txt", expect.any { "lunch at one", "lunch at 1" }),
    expect.only_files { "memo.txt" },
    expect.calls_at_most(1, 1),
    expect.calls_at_most(0, 2),
    expect.answer(),
    expect.short(30),
  },
  replies = { { "write_file", { path = "memo.txt", content = "lunch at one" } }, "memo.txt is saved.", "Glad to help." },
}
