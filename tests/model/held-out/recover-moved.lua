local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["archive/2024/loan.txt"] = "rate: 3.15\nyears: 12\n" },
  tools = { "read_file", "list_files", "search_files" },
  turns = { "read loan.txt and tell me the rate; if it is gone, look in archive/2024" },
  check = expect.all { expect.answer(3.15), expect.called("read_file", { path = "archive/2024/loan.txt" }) },
  replies = {
    { "read_file", { path = "loan.txt" } },
    { "read_file", { path = "archive/2024/loan.txt" } },
    "The rate is 3.15.",
  },
}
