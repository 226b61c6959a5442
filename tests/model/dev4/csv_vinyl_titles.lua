local expect = require "hearth.expect"

return {
  kind = "csv",
  files = {
    ["vinyl.csv"] = "title,band,year\nCopper Sky,The Lanterns,1979\nSlow Tram,Mokka,1983\n"
      .. "Nine Bridges,The Lanterns,1981\nHush,Greta Vale,1990\n",
  },
  tools = { "csv_query", "read_file", "search_files" },
  turns = { "list the titles by The Lanterns in vinyl.csv" },
  check = expect.answer { "Copper Sky", "Nine Bridges", expect.none { "Slow Tram", "Hush" } },
  replies = {
    { "csv_query", { path = "vinyl.csv", column = "title", operation = "list", where = "band = The Lanterns" } },
    "Copper Sky and Nine Bridges.",
  },
}
