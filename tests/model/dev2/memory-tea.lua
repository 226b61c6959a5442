local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "calculate" },
  turns = {
    "remember this please: Auntie Bo drinks only rooibos",
    { say = "Auntie Bo is coming over, what does she drink?", new = true },
  },
  check = expect.all { expect.remembered { "Bo", "rooibos" }, expect.answer("rooibos") },
  replies = {
    { "remember", { text = "Auntie Bo drinks only rooibos" } },
    "Noted.",
    { "recall", { query = "Auntie Bo drinks" } },
    "She drinks only rooibos.",
  },
}
