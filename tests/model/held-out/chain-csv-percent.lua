local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["yield.csv"] = "field,tonnes\nupper,18\nlower,26\nriver,36\n" },
  tools = { "csv_query", "calculate" },
  turns = { "Take the sum of tonnes in yield.csv and work out 25% of it." },
  check = expect.answer(20),
  replies = {
    { "csv_query", { path = "yield.csv", column = "tonnes", operation = "sum" } },
    { "calculate", { expression = "25% of 80" } },
    "25% of it is 20 tonnes.",
  },
}
