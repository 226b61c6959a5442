local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "calculate", "read_file", "list_files" },
  turns = { "Book me a haircut for Saturday." },
  check = expect.declines,
  replies = { "I can't book a haircut; I have no tool for that." },
}
