local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["shed.csv"] = "what,kind,cost\nwhite,paint,38\nbeams,wood,120\ngreen,paint,45\nboards,wood,66\n" },
  tools = { "csv_query", "read_file", "calculate" },
  turns = { "My wife asks what we spent on paint. It's in shed.csv, the kind is paint and the column is cost." },
  check = expect.answer(83),
  replies = {
    { "csv_query", { path = "shed.csv", column = "cost", operation = "sum", where = "kind = paint" } }, "You spent 83 on paint.",
  },
}
