local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the blue bicycle belongs to Jorge" },
  tools = { "recall" },
  turns = { "Who owns the blue bicycle?" },
  check = expect.answer("Jorge"),
  replies = { { "recall", { query = "blue bicycle" } }, "It belongs to Jorge." },
}
