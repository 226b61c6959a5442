local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["budget-2026.txt"] = "paint: 140\ntools: 85\ntotal: 225\n" },
  tools = { "read_file", "list_files" },
  turns = { "What is the total in budget.txt? If it is not there, look which files there are." },
  check = expect.all { expect.answer(225), expect.called("read_file", { path = "budget-2026.txt" }) },
  replies = {
    { "read_file", { path = "budget.txt" } },
    { "list_files", {} },
    { "read_file", { path = "budget-2026.txt" } },
    "The total is 225.",
  },
}
