local expect = require "hearth.expect"

return {
  kind = "decline",
  files = { ["dues.csv"] = "member,paid\nOda,40\nBengt,25\nRuna,60\n" },
  tools = { "csv_query" },
  turns = { "how much has Ulf paid? it should be in dues.csv, sum up paid where member = Ulf" },
  check = expect.answer {
    expect.any {
      "no row", "no rows", "no match", "not find", "couldn't find", "can't find", "cannot find", "there is no", "there's no", "not in",
      "isn't in", "nothing", "no payment", "no payments", "no entry", "not listed", "not found", "does not", "doesn't", "no member",
      "no data", "no Ulf", "no record",
    },
    expect.none { 40, 25, 60, 125 },
  },
  replies = {
    { "csv_query", { path = "dues.csv", column = "paid", operation = "sum", where = "member = Ulf" } },
    "There is no row for Ulf in dues.csv.",
  },
}
