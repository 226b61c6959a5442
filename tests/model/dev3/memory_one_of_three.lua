local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "Ingrid drinks peppermint tea.", "Paulo drinks black coffee.", "Meera drinks elderflower juice." },
  tools = { "recall", "remember", "calculate" },
  turns = { "Meera is coming over. What does she drink?" },
  check = expect.answer { "elderflower", expect.none { "coffee", "peppermint" } },
  replies = { { "recall", { query = "Meera drinks" } }, "Meera drinks elderflower juice." },
}
