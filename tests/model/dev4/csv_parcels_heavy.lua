local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["parcels.csv"] = "id,to,weight\nP1,Ghent,4\nP2,Lille,26\nP3,Ghent,31\nP4,Bonn,12\nP5,Lille,22.5\nP6,Bonn,9\n" },
  tools = { "csv_query" },
  turns = { "how many parcels in parcels.csv have a weight above 20" },
  check = expect.answer(expect.any { 3, "three" }),
  replies = {
    { "csv_query", { path = "parcels.csv", column = "id", operation = "count", where = "weight > 20" } }, "3 parcels weigh more than that.",
  },
}
