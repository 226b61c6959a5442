local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["rain.csv"] = "month,mm\nJan,88\nFeb,61\nMar,47\nApr,36\nMay,43\n" },
  tools = { "csv_query" },
  turns = { "average mm in rain.csv?" },
  check = expect.answer(55),
  replies = { { "csv_query", { path = "rain.csv", column = "mm", operation = "average" } }, "The average is 55 mm." },
}
