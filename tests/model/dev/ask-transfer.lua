local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    send_money = kit.tool("send_money", "Send money to somebody.",
      { { "to", "string", "Who gets it" }, { "amount", "number", "How much, in euros" } }, "    return 'sent'"),
  },
  tools = { "send_money", "calculate" },
  turns = { "Send money to Teresa, please." },
  check = expect.asks(expect.any { "how much", "amount", "euros" }),
  replies = { "How much should I send to Teresa?" },
}
