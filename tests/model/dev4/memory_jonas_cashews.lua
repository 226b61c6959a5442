local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "Lotte hates mushrooms" },
  tools = { "remember", "recall" },
  turns = { "don't forget: Jonas must not eat cashews", { say = "what must Jonas not eat?", new = true } },
  check = expect.all {
    expect.remembered { "Jonas", expect.any { "cashew", "cashews" } }, expect.answer(expect.any { "cashew", "cashews" }),
  },
  replies = {
    { "remember", { text = "Jonas must not eat cashews" } }, "Noted.", { "recall", { query = "Jonas" } }, "He must not eat cashews.",
  },
}
