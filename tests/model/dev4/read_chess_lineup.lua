local expect = require "hearth.expect"

return {
  kind = "read",
  files = {
    ["lineup.txt"] = "Saturday, home to Brackley\n1 Ines Korhola\n2 Dov Aster\n3 Tariq Bellweather\n4 Mo Lindqvist\nreserve Petra Sung\n",
  },
  tools = { "read_file", "list_files", "search_files" },
  turns = { "Who is on board 3 on Saturday? See lineup.txt." },
  check = expect.answer { "Bellweather", expect.none { "Aster", "Lindqvist" } },
  replies = { { "read_file", { path = "lineup.txt" } }, "Tariq Bellweather is on board 3." },
}
