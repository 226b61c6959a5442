local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["guests.csv"] = "guest,place,nights\nWirth,Arlo,3\nBanda,Sund,1\nCole,Arlo,2\nMeier,Arlo,6\nSato,Kemp,4\n" },
  tools = { "csv_query", "read_file" },
  turns = { "sum of nights in guests.csv where town is Arlo" },
  check = expect.answer(11),
  replies = {
    { "csv_query", { path = "guests.csv", column = "nights", operation = "sum", where = "town = Arlo" } },
    { "csv_query", { path = "guests.csv", column = "nights", operation = "sum", where = "place = Arlo" } }, "It comes to 11 nights.",
  },
}
