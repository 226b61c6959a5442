local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "recall", "remember", "read_file" },
  turns = { "I take my coffee with oat milk. Remember this." },
  check = expect.all { expect.remembered { "coffee", "oat milk" }, expect.answer(), expect.short(30) },
  replies = { { "remember", { text = "the user takes coffee with oat milk" } }, "I will remember that." },
}
