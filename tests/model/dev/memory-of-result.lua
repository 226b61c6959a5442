local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "calculate", "remember", "recall" },
  turns = {
    "How much is 72 * 19?",
    "remember that the answer is 1368",
    { say = "what answer did you keep?", new = true },
  },
  check = expect.all { expect.turn(1, 1368), expect.remembered(1368), expect.answer(1368) },
  replies = {
    { "calculate", { expression = "72 * 19" } },
    "It is 1368.",
    { "remember", { text = "the answer is 1368" } },
    "I will remember it.",
    { "recall", { query = "answer" } },
    "The answer is 1368.",
  },
}
