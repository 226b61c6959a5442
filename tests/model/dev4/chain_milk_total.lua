local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["milk.csv"] = "goat,litres\nBella,3.2\nTopsy,2.7\nOlga,4.5\nFig,1.9\n" },
  tools = { "csv_query", "write_file" },
  turns = { "get the sum of litres in milk.csv and save it to total.txt" },
  check = expect.file("total.txt", 12.3),
  replies = {
    { "csv_query", { path = "milk.csv", column = "litres", operation = "sum" } },
    { "write_file", { path = "total.txt", content = "12.3\n" } }, "The total, 12.3 litres, is in total.txt.",
  },
}
