local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "read_file", "write_file", "now", "remember" },
  turns = { "Good morning!" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(30) },
  replies = { "Good morning! What can I do for you?" },
}
