local expect = require "hearth.expect"

local tomorrow = os.date("!%A", os.time() + 86400)

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "I lost track. What weekday will it be tomorrow?" },
  check = expect.answer(tomorrow),
  replies = { { "now", {} }, ("Tomorrow is %s."):format(tomorrow) },
}
