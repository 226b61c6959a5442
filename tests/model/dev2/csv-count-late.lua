local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["returns.csv"] = "member,tool,state\n11,sander,late\n14,ladder,ok\n19,drill,late\n23,clamp,late\n31,ladder,ok\n" },
  tools = { "csv_query", "read_file" },
  turns = { "How many rows of returns.csv have state late?" },
  check = expect.answer(expect.any { 3, "three" }),
  replies = {
    { "csv_query", { path = "returns.csv", column = "state", operation = "count", where = "state = late" } },
    "3 rows are late.",
  },
}
