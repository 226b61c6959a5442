local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "How much are 36 boxes at 14 euros each? Write the number to cost.txt." },
  check = expect.all { expect.file("cost.txt", 504), expect.answer() },
  replies = {
    { "calculate", { expression = "36 * 14" } },
    { "write_file", { path = "cost.txt", content = "504" } },
    "36 boxes cost 504 euros.",
  },
}
