local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["darts.csv"] = "player,points\nAsta,61\nLorne,44\nPriya,87\nDuncan,52\n" },
  tools = { "csv_query", "read_file" },
  turns = { "average of the points in darts.csv pls" },
  check = expect.answer(61),
  replies = { { "csv_query", { path = "darts.csv", column = "points", operation = "average" } }, "The average is 61 points." },
}
