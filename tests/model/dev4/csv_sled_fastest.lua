local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["sleds.csv"] = "team,dogs,seconds\nNorthpaw,8,512\nBlue Mitten,6,498\nTundra Kids,6,530\nOld Ice,8,505\n" },
  tools = { "csv_query", "calculate" },
  turns = { "what's the lowest time in the seconds column of sleds.csv?" },
  check = expect.answer(498),
  replies = { { "csv_query", { path = "sleds.csv", column = "seconds", operation = "min" } }, "The lowest time is 498 seconds." },
}
