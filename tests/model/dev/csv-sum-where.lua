local expect = require "hearth.expect"

return {
  kind = "csv",
  files = {
    ["expenses.csv"] = "date,category,amount\n2026-01-04,food,31.20\n2026-01-09,rent,640\n2026-01-11,food,18.55\n2026-01-20,travel,77\n2026-01-28,food,9.90\n",
  },
  tools = { "csv_query", "read_file" },
  turns = { "How much was spent on food according to expenses.csv?" },
  check = expect.answer(59.65),
  replies = {
    { "csv_query", { path = "expenses.csv", column = "amount", operation = "sum", where = "category = food" } },
    "59.65 was spent on food.",
  },
}
