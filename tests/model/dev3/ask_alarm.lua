local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    set_alarm = kit.tool("set_alarm", "Set the alarm clock.", { { "time", "string", "Time of the alarm, such as 06:30" } },
      [[return "alarm set for " .. args.time]]),
  },
  tools = { "set_alarm", "calculate" },
  turns = { "I must not sleep in tomorrow, so set an alarm for me." },
  check = expect.asks(expect.any { "time", "when", "hour", "what", "which" }),
  replies = { "For what time shall I set the alarm?" },
}
