local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.all_tools "send_sms",
  own_tools = {
    send_sms = kit.tool("send_sms", "Send a text message to a person.", {
      { "to", "string", "Name of the person" }, { "message", "string", "The message" },
    }, [[    return "sent to " .. args.to]]),
  },
  turns = { "text Bruno that the van is late" },
  check = expect.all {
    expect.called("send_sms", { to = "Bruno", message = function(text) return text:lower():find "van" and text:lower():find "late" end }),
    expect.answer(), expect.not_called("write_file", "remember"),
  },
  replies = { { "send_sms", { to = "Bruno", message = "The van is late." } }, "I sent it to Bruno." },
}
