local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "write_file" },
  turns = { "Please remember for later: the spare key hangs behind the clock." },
  check = expect.all {
    expect.remembered { "spare key", "clock" }, expect.only_files {}, expect.not_called("recall"), expect.answer(),
  },
  replies = { { "remember", { text = "the spare key hangs behind the clock" } }, "Saved." },
}
