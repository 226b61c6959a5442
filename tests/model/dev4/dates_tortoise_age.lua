local expect = require "hearth.expect"

local age = tonumber(os.date "!%Y") - 1958

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "our tortoise hatched in 1958. how old does it get this year?" },
  check = expect.answer(age),
  replies = { { "now", {} }, { "calculate", { expression = os.date "!%Y" .. " - 1958" } }, ("It turns %d this year."):format(age) },
}
