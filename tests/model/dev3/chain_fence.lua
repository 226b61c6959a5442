local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["yard.txt"] = "length in metres: 37\nwidth in metres: 18\ngate: north side\n" },
  tools = { "read_file", "calculate" },
  turns = { "Read yard.txt and multiply the length by the width. What do you get?" },
  check = expect.answer(666),
  replies = { { "read_file", { path = "yard.txt" } }, { "calculate", { expression = "37 * 18" } }, "That makes 666 square metres." },
}
