local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    fx_spot = kit.lookup("fx_spot", "Rate of a currency against the euro.", { "code", "string", "Three letters" },
      { SEK = "1 EUR = 11.46 SEK", CHF = "1 EUR = 0.94 CHF", JPY = "1 EUR = 171.2 JPY" }),
  },
  tools = { "fx_spot", "calculate", "read_file" },
  turns = { "what is the rate of CHF" },
  check = expect.all { expect.called("fx_spot", { code = "CHF" }), expect.answer(0.94) },
  replies = { { "fx_spot", { code = "CHF" } }, "1 EUR is 0.94 CHF." },
}
