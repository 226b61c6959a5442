local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    send_note = kit.tool("send_note", "Send a short message to a person.", {
      { "to", "string", "Name of the person" }, { "text", "string", "The message" } }, [[return "sent to " .. args.to]]),
  },
  tools = { "write_file", "remember", "send_note", "calculate" },
  turns = { "send Jonas a message: the keys are at the reception" },
  check = expect.all {
    expect.called("send_note", { to = "Jonas", text = function(t) return t:lower():find("keys") and t:lower():find("reception") end }),
    expect.not_called("write_file", "remember"), expect.answer(),
  },
  replies = { { "send_note", { to = "Jonas", text = "The keys are at the reception." } }, "I sent the message to Jonas." },
}
