local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["eggs.csv"] = "hen,eggs\nDot,5\nMabel,6\nPip,4\nRusty,3\n" },
  tools = { "csv_query", "calculate", "read_file" },
  turns = { "Sum the eggs in eggs.csv. What are they worth at 0.45 each?" },
  check = expect.answer(8.1),
  replies = {
    { "csv_query", { path = "eggs.csv", column = "eggs", operation = "sum" } },
    { "calculate", { expression = "18*0.45" } },
    "18 eggs are worth 8.10.",
  },
}
