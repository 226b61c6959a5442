local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "write_file" },
  turns = { "Please remember: bin day is Thursday." },
  check = expect.all {
    expect.remembered { "bin", "Thursday" },
    expect.answer(),
    expect.calls_at_most(1),
    expect.only_files {},
  },
  replies = { { "remember", { text = "bin day is Thursday" } }, "I will remember that." },
}
