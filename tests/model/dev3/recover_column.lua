local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["tools.csv"] = "item,cost\nsaw,29\nplane,54\nvice,48\n" },
  tools = { "csv_query", "read_file" },
  turns = { "Please add up the price column in tools.csv." },
  check = expect.answer(131),
  replies = {
    { "csv_query", { path = "tools.csv", column = "price", operation = "sum" } },
    { "csv_query", { path = "tools.csv", column = "cost", operation = "sum" } }, "The costs add up to 131.",
  },
}
