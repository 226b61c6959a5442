local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "Add 18.40, 7.25 and 102 and save the result in sum.txt" },
  check = expect.all { expect.file("sum.txt", 127.65), expect.answer() },
  replies = {
    { "calculate", { expression = "18.40 + 7.25 + 102" } },
    { "write_file", { path = "sum.txt", content = "127.65" } },
    "The result is 127.65; it is in sum.txt.",
  },
}
