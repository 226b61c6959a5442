local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file", "list_files" },
  turns = { "what is 15% of 860? put it into tip.txt" },
  check = expect.all { expect.file("tip.txt", 129), expect.called("write_file"), expect.answer() },
  replies = {
    { "calculate", { expression = "15% of 860" } },
    { "write_file", { path = "tip.txt", content = "129" } },
    "15% of 860 is 129.",
  },
}
