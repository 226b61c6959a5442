local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    wake_me = kit.tool("wake_me", "Set the alarm clock.", { { "time", "string", "When it rings, such as 06:45" } }, "    return 'set'"),
  },
  tools = { "wake_me" },
  turns = { "Set the alarm clock for me." },
  check = expect.asks(expect.any { "time", "when", "hour", "o'clock" }),
  replies = { "At what time should it ring?" },
}
