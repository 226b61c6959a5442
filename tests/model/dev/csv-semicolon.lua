local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["data/meter.csv"] = "month;kwh\nJan;412\nFeb;388\nMar;350\n" },
  tools = { "csv_query", "calculate" },
  turns = { "Sum up the kwh column of data/meter.csv" },
  check = expect.all { expect.answer(1150), expect.called("csv_query", { path = "data/meter.csv" }) },
  replies = {
    { "csv_query", { path = "data/meter.csv", column = "kwh", operation = "sum" } },
    "The sum is 1150 kWh.",
  },
}
