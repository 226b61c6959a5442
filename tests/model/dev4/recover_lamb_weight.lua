local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["lambs.csv"] = "tag,born,weight_kg\n11,March,4.5\n12,March,5.1\n13,April,3.9\n" },
  tools = { "csv_query" },
  turns = { "Average of the weight column in lambs.csv?" },
  check = expect.answer(4.5),
  replies = {
    { "csv_query", { path = "lambs.csv", column = "weight", operation = "average" } },
    { "csv_query", { path = "lambs.csv", column = "weight_kg", operation = "average" } }, "The average is 4.5 kg.",
  },
}
