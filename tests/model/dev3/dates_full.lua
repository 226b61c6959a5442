local expect = require "hearth.expect"
local kit = require "_kit"
local today = require "_today"

return {
  kind = "dates",
  tools = kit.shipped,
  turns = { "what's today's date?" },
  check = today.answer(today.date),
  replies = { { "now", {} }, "It is " .. os.date("%Y-%m-%d") .. "." },
}
