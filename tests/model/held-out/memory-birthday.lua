local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = {
    "keep in mind that Zelda's birthday is on 9 October",
    { say = "When is Zelda's birthday?", new = true },
  },
  check = expect.all { expect.remembered { "Zelda", "9 October" }, expect.answer("9 October") },
  replies = {
    { "remember", { text = "Zelda's birthday is on 9 October" } },
    "I will keep it in mind.",
    { "recall", { query = "Zelda's birthday" } },
    "It is on 9 October.",
  },
}
