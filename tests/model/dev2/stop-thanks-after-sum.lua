local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "calculate", "write_file" },
  turns = { "What is 312 plus 289?", "Lovely, thank you." },
  check = expect.all {
    expect.turn(1, 601),
    expect.calls_at_most(0, 2),
    expect.answer(),
    expect.short(30),
    expect.only_files {},
  },
  replies = { { "calculate", { expression = "312+289" } }, "It is 601.", "You're welcome." },
}
