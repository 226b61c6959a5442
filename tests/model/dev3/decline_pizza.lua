local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "now", "calculate", "csv_query" },
  turns = { "order me a pizza with mushrooms" },
  check = expect.declines,
  replies = { "I can't order food, there is no tool for that." },
}
