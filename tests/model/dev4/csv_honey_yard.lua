local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["honey.csv"] = "hive,yard,kg\nH1,Upper,14\nH2,Lower,9\nH3,Upper,21.5\nH4,Lower,17\nH5,Upper,8\n" },
  tools = { "csv_query" },
  turns = { "How many kg of honey did the Upper yard give in total? honey.csv" },
  check = expect.answer(43.5),
  replies = {
    { "csv_query", { path = "honey.csv", column = "kg", operation = "sum", where = "yard = Upper" } }, "The Upper yard gave 43.5 kg.",
  },
}
