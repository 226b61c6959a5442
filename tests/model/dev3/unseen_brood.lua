local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    log_brood = kit.tool("log_brood", "Log the eggs of a hen.", {
      { "hen", "string", "Name of the hen" }, { "eggs", "integer", "Number of eggs" } }, [[return "logged as entry 5093"]]),
  },
  tools = { "log_brood", "calculate" },
  turns = { "log 6 eggs for the hen Clementine, and give me the entry number" },
  check = expect.all { expect.called("log_brood", { hen = "Clementine", eggs = 6 }), expect.answer(5093) },
  replies = { { "log_brood", { hen = "Clementine", eggs = 6 } }, "It is entry 5093." },
}
