local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the allotment rent is 38 a month", "the allotment gate key is blue" },
  tools = { "recall", "calculate" },
  turns = { "What is the allotment rent for 12 months? You know the monthly rent." },
  check = expect.all { expect.called("recall"), expect.answer(456) },
  replies = {
    { "recall", { query = "allotment rent" } },
    { "calculate", { expression = "38*12" } },
    "12 months cost 456.",
  },
}
