local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the ladder is in the cellar", "Nadia plays the oboe" },
  tools = { "recall", "remember" },
  turns = { "Do you remember my passport number?" },
  check = expect.all {
    expect.called("recall"),
    expect.answer(expect.any { "no", "not", "nothing", "don't", "didn't", "couldn't", "can't" }),
    expect.answer(expect.none { "ladder", "oboe" }),
  },
  replies = { { "recall", { query = "passport number" } }, "No, I have not kept your passport number." },
}
