local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "read_file", "calculate", "now" },
  turns = { "Hello!" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(30) },
  replies = { "Hello! What can I do for you?" },
}
