local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "write_file", "read_file", "calculate" },
  turns = { "save the word ready in flag.txt", "Great, thanks." },
  check = expect.all {
    expect.file("flag.txt", expect.any { expect.exactly "ready", expect.exactly '"ready"' }), expect.calls_at_most(1, 1),
    expect.calls_at_most(0, 2), expect.answer(), expect.short(30),
  },
  replies = { { "write_file", { path = "flag.txt", content = "ready" } }, "Saved.", "You are welcome." },
}
