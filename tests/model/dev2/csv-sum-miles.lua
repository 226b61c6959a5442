local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["rides.csv"] = "day,miles\nMon,12.4\nTue,8.1\nThu,21\nSat,33.5\n" },
  tools = { "csv_query" },
  turns = { "add up the miles in rides.csv" },
  check = expect.answer(75),
  replies = { { "csv_query", { path = "rides.csv", column = "miles", operation = "sum" } }, "75 miles." },
}
