local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "calculate", "remember", "recall" },
  turns = { "How much is 64 + 36?" },
  check = expect.all { expect.answer(100), expect.calls_at_most(1), expect.short(20), expect.not_called("remember") },
  replies = { { "calculate", { expression = "64 + 36" } }, "It is 100." },
}
