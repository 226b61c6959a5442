local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "write_file" },
  turns = { "keep in mind for later: the spare key hangs behind the copper pot" },
  check = expect.all { expect.remembered { "key", "copper pot" }, expect.answer(), expect.not_called "write_file" },
  replies = { { "remember", { text = "The spare key hangs behind the copper pot" } }, "I will keep that in mind." },
}
