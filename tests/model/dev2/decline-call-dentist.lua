local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "calculate", "now", "csv_query" },
  turns = { "Call the dentist and move my appointment to Tuesday." },
  check = expect.declines,
  replies = { "I can't make calls." },
}
