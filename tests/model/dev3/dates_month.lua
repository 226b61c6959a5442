local expect = require "hearth.expect"
local kit = require "_kit"
local today = require "_today"

return {
  kind = "dates",
  own_tools = {
    moon_phase = kit.tool("moon_phase", "Get the phase of the moon in a month.", { { "month", "integer", "Number of the month" } },
      [[return "full on day " .. (args.month + 7)]]),
  },
  tools = kit.all_tools("moon_phase"),
  turns = { "Which month are we in at the moment?" },
  check = today.answer(function(day)
    return expect.any { day.month_name, day.month_name:sub(1, 3), day.month, today.date(day) }
  end),
  replies = { { "now", {} }, "It is " .. os.date("%B") .. "." },
}
