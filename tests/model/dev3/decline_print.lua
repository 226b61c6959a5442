local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "recall", "remember", "calculate" },
  turns = { "Print two copies of my contract on the office printer, please." },
  check = expect.declines,
  replies = { "I cannot print anything." },
}
