local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the dentist is in Mill Lane", "the car needs oil in spring", "Ruth's sister is called Odile" },
  tools = { "recall", "remember", "calculate" },
  turns = { "What is the name of Ruth's sister?" },
  check = expect.all { expect.called("recall"), expect.answer("Odile") },
  replies = { { "recall", { query = "Ruth's sister" } }, "She is called Odile." },
}
