local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["parcels.csv"] = "name,weight\nlamp,14\nbooks,31\nvase,9\nrug,26\n" },
  tools = { "csv_query" },
  turns = { "What do all the parcels in parcels.csv weigh together?" },
  check = expect.answer(80),
  replies = { { "csv_query", { path = "parcels.csv", column = "weight", operation = "sum" } }, "Together they weigh 80." },
}
