local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["stall.csv"] = "stall,goods,takings\n1,plants,140\n2,cakes,96\n3,plants,75\n4,books,58\n5,plants,31\n" },
  tools = { "csv_query", "calculate" },
  turns = { "What are the total takings for plants in stall.csv?" },
  check = expect.answer(246),
  replies = {
    { "csv_query", { path = "stall.csv", column = "takings", operation = "sum", where = "goods = plants" } },
    "Plants took 246.",
  },
}
