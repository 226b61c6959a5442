local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["data/moths.csv"] = "species,seen\nHawk,4\nTiger,9\nEmerald,6\n" },
  tools = { "csv_query", "list_files" },
  turns = { "what's the sum of seen in moths.csv?" },
  check = expect.answer(19),
  replies = {
    { "csv_query", { path = "moths.csv", column = "seen", operation = "sum" } },
    { "list_files", {} },
    { "csv_query", { path = "data/moths.csv", column = "seen", operation = "sum" } },
    "19 were seen.",
  },
}
