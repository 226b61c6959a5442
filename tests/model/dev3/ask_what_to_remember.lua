local expect = require "hearth.expect"

return {
  kind = "ask",
  tools = { "remember", "recall" },
  turns = { "I forget everything these days. Please remember something for me." },
  check = expect.asks(expect.any { "what", "remember", "which", "fact", "text" }),
  replies = { "What shall I remember?" },
}
