local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "read_file", "write_file", "list_files", "now", "calculate" },
  turns = { "book me a table for two at Lorenzo's tonight" },
  check = expect.declines,
  replies = { "I can't book tables; I have no tool for that." },
}
