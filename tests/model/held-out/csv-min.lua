local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["quotes/roof.csv"] = "company,offer\nTegula,5400\nSlateworks,4985\nOverhead,6120\n" },
  tools = { "csv_query" },
  turns = { "give me the lowest offer in quotes/roof.csv" },
  check = expect.answer(4985),
  replies = {
    { "csv_query", { path = "quotes/roof.csv", column = "offer", operation = "min" } },
    "The lowest offer is 4985.",
  },
}
