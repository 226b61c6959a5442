local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "send_sms" },
  own_tools = {
    send_sms = kit.tool("send_sms", "Send a text message to a person.", {
      { "to", "string", "Name of the person" }, { "message", "string", "The message" },
    }, [[    return "sent"]]),
  },
  turns = { "send a text to Greta" },
  check = expect.asks(expect.any { "message", "what", "say", "text" }),
  replies = { "What should the message say?" },
}
