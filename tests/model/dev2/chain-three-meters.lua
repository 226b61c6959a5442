local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["north.txt"] = "used: 214\n", ["south.txt"] = "used: 178\n", ["barn.txt"] = "used: 96\n" },
  tools = { "read_file", "calculate" },
  turns = { "north.txt, south.txt and barn.txt each say how much water was used. How much in all?" },
  check = expect.answer(488),
  replies = {
    { "read_file", { path = "north.txt" } },
    { "read_file", { path = "south.txt" } },
    { "read_file", { path = "barn.txt" } },
    { "calculate", { expression = "214+178+96" } },
    "488 in all.",
  },
}
