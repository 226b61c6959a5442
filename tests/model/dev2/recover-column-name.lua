local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["run.csv"] = "date,distance_km\n2 Feb,7\n5 Feb,11\n9 Feb,14\n" },
  tools = { "csv_query" },
  turns = { "Sum the column length in run.csv; I think that's what I called it." },
  check = expect.all { expect.called("csv_query"), expect.answer(32) },
  replies = {
    { "csv_query", { path = "run.csv", column = "length", operation = "sum" } },
    { "csv_query", { path = "run.csv", column = "distance_km", operation = "sum" } },
    "The column is distance_km; its sum is 32.",
  },
}
