local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["cellar.csv"] = "hour,celsius\n1,11.2\n2,10.7\n3,9.8\n4,10.1\n" },
  tools = { "csv_query" },
  turns = { "Coldest value in the celsius column of cellar.csv?" },
  check = expect.answer(9.8),
  replies = { { "csv_query", { path = "cellar.csv", column = "celsius", operation = "min" } }, "The coldest was 9.8." },
}
