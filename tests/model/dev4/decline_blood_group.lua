local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "recall", "remember" },
  turns = { "do you remember my blood group?" },
  check = expect.answer {
    expect.any {
      "nothing", "no", "not", "don't", "don\u{2019}t", "can't", "cannot", "haven't", "isn't", "unknown",
    },
    expect.none { "0", "O", "AB", "B" },
  },
  replies = { { "recall", { query = "blood group" } }, "No, nothing is remembered about your blood group." },
}
