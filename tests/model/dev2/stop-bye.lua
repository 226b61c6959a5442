local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "recall", "remember", "list_files" },
  turns = { "that's all for today, bye" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(30) },
  replies = { "Goodbye!" },
}
