local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "calculate", "write_file" },
  turns = { "what is 250 / 8", "thank you, that is all" },
  check = expect.all {
    expect.turn(1, 31.25), expect.calls_at_most(0, 2), expect.answer(), expect.short(30), expect.only_files {},
  },
  replies = { { "calculate", { expression = "250 / 8" } }, "It is 31.25.", "You are welcome." },
}
