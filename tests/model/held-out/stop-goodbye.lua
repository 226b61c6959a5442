local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "recall", "remember", "list_files", "calculate" },
  turns = { "Good night!" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(30) },
  replies = { "Good night!" },
}
