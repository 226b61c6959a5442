local expect = require "hearth.expect"

return {
  kind = "csv",
  files = {
    ["guests.csv"] = "name,answer\nKarl,yes\nMina,no\nPetra,yes\nRavi,yes\nSam,maybe\nTove,no\nUma,yes\n",
  },
  tools = { "csv_query", "write_file" },
  turns = { "count the guests in guests.csv whose answer is yes" },
  check = expect.answer(expect.any { 4, "four" }),
  replies = {
    { "csv_query", { path = "guests.csv", column = "name", operation = "count", where = "answer = yes" } },
    "4 guests said yes.",
  },
}
