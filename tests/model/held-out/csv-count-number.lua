local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["members.csv"] = "member,years\nHana,3\nIgor,14\nJules,9\nKofi,22\nLior,1\nMaud,17\n" },
  tools = { "csv_query", "read_file" },
  turns = { "How many members in members.csv have more than 10 years?" },
  check = expect.answer(expect.any { 3, "three" }),
  replies = {
    { "csv_query", { path = "members.csv", column = "member", operation = "count", where = "years > 10" } },
    "3 members.",
  },
}
