local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "Aunt Freda takes oat milk in her tea", "Uncle Piet is deaf in his left ear", "The cat sleeps in the bath" },
  tools = { "recall", "remember" },
  turns = { "Aunt Freda is coming. What milk does she take?" },
  check = expect.answer "oat",
  replies = { { "recall", { query = "Aunt Freda milk" } }, "She takes oat milk." },
}
