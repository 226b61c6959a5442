local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "The rent of the garage is 48 euros a month." },
  tools = { "recall", "calculate" },
  turns = { "You know the monthly rent of the garage. How much do I pay for 7 months?" },
  check = expect.answer(336),
  replies = {
    { "recall", { query = "rent of the garage" } }, { "calculate", { expression = "7 * 48" } }, "For 7 months you pay 336 euros.",
  },
}
