local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["bikes.csv"] = "model,price\nHeron,689\nKite,1245\nSwift,930\n" },
  tools = { "csv_query", "calculate", "list_files" },
  turns = { "I'm thinking of buying a bike. What is the highest price in bikes.csv?" },
  check = expect.answer(1245),
  replies = { { "csv_query", { path = "bikes.csv", column = "price", operation = "max" } }, "The highest price is 1245." },
}
