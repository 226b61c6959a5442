local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = { "Remember that the spare key hangs behind the clock." },
  check = expect.all { expect.remembered { "key", "clock" }, expect.answer() },
  replies = { { "remember", { text = "The spare key hangs behind the clock." } }, "I will remember it." },
}
