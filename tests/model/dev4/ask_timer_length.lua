local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "start_timer", "now" },
  own_tools = {
    start_timer = kit.tool("start_timer", "Start a kitchen timer.", { { "minutes", "integer", "How long, in minutes" } },
      [[    return "started"]]),
  },
  turns = { "start a timer for the dumplings" },
  check = expect.asks(expect.any { "minutes", "long", "time" }),
  replies = { "For how many minutes?" },
}
