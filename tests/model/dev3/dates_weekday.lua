local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "I've lost track of the week. What day is it today?" },
  check = today.answer(function(day) return expect.any { day.weekday, today.date(day) } end),
  replies = { { "now", {} }, "Today is " .. os.date("%A") .. "." },
}
