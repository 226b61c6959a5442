local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = {
    "the boat is moored at pier 6", "grandfather takes two sugars", "the cellar flooded in 2021",
    "Mr. Quint delivers eggs on Wednesdays",
  },
  tools = { "remember", "recall" },
  turns = { "at which pier is the boat?" },
  check = expect.all { expect.called("recall"), expect.answer(6), expect.not_called("remember") },
  replies = { { "recall", { query = "boat pier" } }, "The boat is at pier 6." },
}
