local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["nights.csv"] = "night,degrees\nMon,7\nTue,4\nWed,11\nThu,9\n" },
  tools = { "csv_query" },
  turns = { "Could you tell me the lowest value of degrees in nights.csv?" },
  check = expect.answer(4),
  replies = { { "csv_query", { path = "nights.csv", column = "degrees", operation = "min" } }, "The lowest value is 4 degrees." },
}
