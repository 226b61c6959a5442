local expect = require "hearth.expect"

return {
  kind = "ask",
  tools = { "read_file", "write_file" },
  turns = { "read a file to me" },
  check = expect.asks(expect.any { "which", "what", "path", "name" }),
  replies = { "Which file shall I read?" },
}
