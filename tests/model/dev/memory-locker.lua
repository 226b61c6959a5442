local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = {
    "remember that my locker is number 318",
    { say = "what number is my locker?", new = true },
  },
  check = expect.all { expect.remembered(318), expect.answer(318) },
  replies = {
    { "remember", { text = "my locker is number 318" } },
    "I will remember that.",
    { "recall", { query = "locker number" } },
    "Your locker is number 318.",
  },
}
