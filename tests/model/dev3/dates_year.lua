local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now", "recall" },
  turns = { "Which year is it now? I have to write it on a form." },
  check = today.answer(function(day) return day.year end),
  replies = { { "now", {} }, "It is the year " .. os.date("%Y") .. "." },
}
