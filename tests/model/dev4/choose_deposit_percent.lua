local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.all_tools "exchange_rate",
  own_tools = {
    exchange_rate = kit.lookup("exchange_rate", "Tell how many euros one unit of a currency is worth.",
      { "currency", "string", "Code of the currency" }, { CHF = "1.06", SEK = "0.088", PLN = "0.23" }),
  },
  turns = { "What's 18% of 2350?" },
  check = expect.all { expect.answer(423), expect.called "calculate" },
  replies = { { "calculate", { expression = "18% of 2350" } }, "It is 423." },
}
