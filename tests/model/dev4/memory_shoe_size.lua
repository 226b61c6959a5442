local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "calculate", "remember", "recall" },
  turns = {
    "hi! can you remember that Nadia's shoe size is 38?",
    "thanks. what is 6 times 29?",
    { say = "I'm buying shoes for Nadia. what size was it again", new = true },
  },
  check = expect.all { expect.turn(2, 174), expect.remembered(38), expect.answer(38) },
  replies = {
    { "remember", { text = "Nadia's shoe size is 38" } }, "Sure.", { "calculate", { expression = "6 * 29" } }, "174.",
    { "recall", { query = "Nadia shoe size" } }, "Her size is 38.",
  },
}
