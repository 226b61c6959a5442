local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["seedlings.csv"] = "pot,height\nA1,43\nA2,57\nB1,39\nB2,51\n" },
  tools = { "csv_query", "list_files" },
  turns = { "In seedlings.csv, what's the biggest height?" },
  check = expect.answer(57),
  replies = { { "csv_query", { path = "seedlings.csv", column = "height", operation = "max" } }, "The biggest height is 57." },
}
