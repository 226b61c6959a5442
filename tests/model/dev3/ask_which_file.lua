local expect = require "hearth.expect"

return {
  kind = "ask",
  tools = { "read_file", "calculate" },
  turns = { "Read the file to me, would you?" },
  check = expect.asks(expect.any { "file", "which", "what", "name", "path" }),
  replies = { "Which file shall I read?" },
}
