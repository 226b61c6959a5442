local expect = require "hearth.expect"

return {
  kind = "stopping",
  tools = { "calculate" },
  turns = { "just the number please: 8064 divided by 36" },
  check = expect.all { expect.answer(224), expect.short(8), expect.calls_at_most(1) },
  replies = { { "calculate", { expression = "8064/36" } }, "224" },
}
