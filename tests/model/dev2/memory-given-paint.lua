local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the hall is painted in Marsh Grey", "the kitchen is painted in Oat", "the cat is fed at six" },
  tools = { "recall", "remember" },
  turns = { "Which paint did I use in the kitchen?" },
  check = expect.all { expect.called("recall"), expect.answer { "Oat", expect.none { "Marsh Grey" } } },
  replies = { { "recall", { query = "kitchen paint" } }, "The kitchen is painted in Oat." },
}
