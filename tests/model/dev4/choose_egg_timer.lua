local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.all_tools "start_timer",
  own_tools = {
    start_timer = kit.tool("start_timer", "Start a kitchen timer.", { { "minutes", "integer", "How long, in minutes" } },
      [[    return ("timer started, number %d"):format(args.minutes + 600)]]),
  },
  turns = { "start a timer for 12 minutes, and tell me its number" },
  check = expect.all { expect.called("start_timer", { minutes = 12 }), expect.answer(612) },
  replies = { { "start_timer", { minutes = 12 } }, "The timer is running, number 612." },
}
