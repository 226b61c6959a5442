local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["herd.csv"] = "animal,weight_kg\nGoat,52\nSheep,67\nDonkey,181\n" },
  tools = { "csv_query" },
  turns = { "what is the sum of the column weight in herd.csv" },
  check = expect.answer(300),
  replies = {
    { "csv_query", { path = "herd.csv", column = "weight", operation = "sum" } },
    { "csv_query", { path = "herd.csv", column = "weight_kg", operation = "sum" } },
    "The sum is 300.",
  },
}
