local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now" },
  turns = { "Could you tell me what time it is, please?" },
  check = today.answer(today.time),
  replies = { { "now", {} }, "It is " .. os.date("%H:%M") .. "." },
}
