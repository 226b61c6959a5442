local expect = require "hearth.expect"

return {
  kind = "csv",
  files = {
    ["choir.csv"] = "name,voice,since\nEdda,alto,2015\nFloris,bass,2019\nGwen,soprano,2011\nHedy,alto,2020\nIlse,alto,2016\n"
      .. "Jan,tenor,2018\nKaro,alto,2022\n",
  },
  tools = { "csv_query", "read_file" },
  turns = { "count the altos in choir.csv" },
  check = expect.answer(expect.any { 4, "four" }),
  replies = {
    { "csv_query", { path = "choir.csv", column = "name", operation = "count", where = "voice = alto" } }, "There are 4 altos.",
  },
}
