local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["rota.csv"] = "day,cook\nMonday,Faye\nTuesday,Gil\nWednesday,Hugo\nThursday,Faye\n" },
  tools = { "csv_query", "search_files" },
  turns = { "on which days does Faye cook according to rota.csv" },
  check = expect.answer { "Monday", "Thursday", expect.none { "Tuesday", "Wednesday" } },
  replies = {
    { "csv_query", { path = "rota.csv", column = "day", operation = "list", where = "cook = Faye" } },
    "Faye cooks on Monday and Thursday.",
  },
}
