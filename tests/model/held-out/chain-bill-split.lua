local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["dinner.txt"] = "starters 24\nmains 69\ndrinks 33\n" },
  tools = { "read_file", "calculate" },
  turns = { "Read dinner.txt, add it all up and divide it by 3. How much does each pay?" },
  check = expect.answer(42),
  replies = {
    { "read_file", { path = "dinner.txt" } },
    { "calculate", { expression = "(24 + 69 + 33) / 3" } },
    "Each pays 42.",
  },
}
