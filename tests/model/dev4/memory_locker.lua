local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = { "remember that my locker at the pool is 274", { say = "what's my locker at the pool?", new = true } },
  check = expect.all { expect.remembered(274), expect.answer(274) },
  replies = {
    { "remember", { text = "The locker at the pool is 274" } }, "I will remember it.",
    { "recall", { query = "locker" } }, "Your locker is 274.",
  },
}
