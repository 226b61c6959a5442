local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    set_timer = kit.tool("set_timer", "Start a timer.", { { "minutes", "integer", "How long" } },
      "    return ('timer runs for %d minutes'):format(args.minutes)"),
  },
  tools = kit.all_tools("set_timer"),
  turns = { "set a timer for 25 minutes" },
  check = expect.all { expect.called("set_timer", { minutes = 25 }), expect.calls_at_most(2), expect.answer() },
  replies = { { "set_timer", { minutes = 25 } }, "The timer runs for 25 minutes." },
}
