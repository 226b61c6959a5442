local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["bakery.txt"] = "flour 14.20\nbutter 9.35\nyeast 2.10\nsalt 1.15\n" },
  tools = { "read_file", "calculate" },
  turns = { "What do all the things in bakery.txt cost together?" },
  check = expect.answer(26.8),
  replies = {
    { "read_file", { path = "bakery.txt" } },
    { "calculate", { expression = "14.20+9.35+2.10+1.15" } },
    "Together they cost 26.80.",
  },
}
