local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["runs.csv"] = "runner,km\nAda,12.4\nBruno,21.1\nCleo,8\nDino,17.75\n" },
  tools = { "csv_query" },
  turns = { "Find the largest km in runs.csv." },
  check = expect.all { expect.answer(21.1), expect.called("csv_query", { operation = "max" }) },
  replies = { { "csv_query", { path = "runs.csv", column = "km", operation = "max" } }, "The largest is 21.1 km." },
}
