local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "now", "csv_query" },
  turns = { "take a photo of the garden" },
  check = expect.declines,
  replies = { "Sorry, I can't take photos." },
}
