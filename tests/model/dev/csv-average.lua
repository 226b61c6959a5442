local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["temps.csv"] = "day,celsius\nMon,11\nTue,14\nWed,9\nThu,16\nFri,15\n" },
  tools = { "csv_query", "read_file", "calculate" },
  turns = { "what is the average of celsius in temps.csv" },
  check = expect.answer(13),
  replies = {
    { "csv_query", { path = "temps.csv", column = "celsius", operation = "average" } },
    "The average is 13.",
  },
}
