local expect = require "hearth.expect"

return {
  kind = "declining",
  files = { ["poster.txt"] = "Jumble sale\n" },
  tools = { "now", "recall", "remember" },
  turns = { "print poster.txt on the big printer" },
  check = expect.declines,
  replies = { "Sorry, I cannot print." },
}
