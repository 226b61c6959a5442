local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "calculate", "csv_query" },
  turns = { "Play something by Ella Fitzgerald" },
  check = expect.declines,
  replies = { "Sorry, I cannot play music." },
}
