local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["tickets.txt"] = "museum: 12.50\ntram: 6.80\nboat: 21\n" },
  tools = { "read_file", "calculate" },
  turns = { "read tickets.txt and add up the prices" },
  check = expect.answer(40.3),
  replies = {
    { "read_file", { path = "tickets.txt" } },
    { "calculate", { expression = "12.50 + 6.80 + 21" } },
    "The total is 40.3.",
  },
}
