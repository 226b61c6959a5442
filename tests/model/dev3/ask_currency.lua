local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    exchange_money = kit.tool("exchange_money", "Convert an amount of euros into another currency.", {
      { "amount", "number", "Amount in euros" }, { "currency", "string", "Currency wanted" },
    }, [[return args.amount * 3 .. " " .. args.currency]]),
  },
  tools = { "exchange_money", "now" },
  turns = { "could you change 75 euros for me" },
  check = expect.asks(expect.any { "currency", "currencies", "which", "what", "into" }),
  replies = { "Into which currency?" },
}
