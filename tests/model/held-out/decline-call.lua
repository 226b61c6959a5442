local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "csv_query", "list_files", "calculate" },
  turns = { "Phone the dentist and move my appointment." },
  check = expect.declines,
  replies = { "I can't make phone calls." },
}
