local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = {
    "Keep in mind: the bike shed code is 7730.",
    { say = "What's the code for the bike shed?", new = true },
  },
  check = expect.all { expect.remembered(7730), expect.answer(7730) },
  replies = {
    { "remember", { text = "the bike shed code is 7730" } },
    "I will remember it.",
    { "recall", { query = "bike shed code" } },
    "The code is 7730.",
  },
}
