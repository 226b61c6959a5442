local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["guests.csv"] = "name,floor\nPetra,2\nJonas,1\nImogen,2\nKofi,3\n" },
  tools = { "csv_query", "search_files" },
  turns = { "List the names on floor 2 in guests.csv." },
  check = expect.answer { "Petra", "Imogen", expect.none { "Jonas", "Kofi" } },
  replies = {
    { "csv_query", { path = "guests.csv", column = "name", operation = "list", where = "floor = 2" } },
    "Petra and Imogen.",
  },
}
