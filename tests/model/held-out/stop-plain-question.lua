local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "now", "calculate", "csv_query" },
  turns = { "Who are you?" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(50) },
  replies = { "I am an assistant that works with the tools on this machine." },
}
