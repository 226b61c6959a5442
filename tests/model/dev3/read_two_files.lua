local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["shop1.txt"] = "honey: 8.60\nsalt: 1.10\n", ["shop2.txt"] = "honey: 7.95\nsalt: 1.35\n" },
  tools = { "read_file" },
  turns = { "What does honey cost in shop1.txt, and what in shop2.txt?" },
  check = expect.answer { 8.6, 7.95 },
  replies = {
    { "read_file", { path = "shop1.txt" } }, { "read_file", { path = "shop2.txt" } },
    "Honey costs 8.60 in shop1.txt and 7.95 in shop2.txt.",
  },
}
