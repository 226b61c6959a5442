local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "mix_dye", "now" },
  own_tools = {
    mix_dye = kit.tool("mix_dye", "Mix a dye for wool.", {
      { "colour", "string", "The colour" }, { "litres", "number", "How many litres" },
    }, [[    return "mixed"]]),
  },
  turns = { "mix 3 litres of dye for me please" },
  check = expect.asks(expect.any { "colour", "color" }),
  replies = { "What colour should it be?" },
}
