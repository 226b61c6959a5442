local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["calls.csv"] = "caller,minutes\nVikram,12\nSolveig,47\nBram,35\nElodie,51\nNuno,8\n" },
  tools = { "csv_query", "now" },
  turns = { "In calls.csv, how many calls have minutes above 30?" },
  check = expect.answer(expect.any { 3, "three" }),
  replies = {
    { "csv_query", { path = "calls.csv", column = "minutes", operation = "count", where = "minutes > 30" } },
    "There are 3 calls above 30 minutes.",
  },
}
