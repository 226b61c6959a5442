local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "My aunt was born in 1948. How old does she turn this year?" },
  check = today.answer(function(day) return day.year - 1948 end),
  replies = {
    { "now", {} }, { "calculate", { expression = os.date("%Y") .. " - 1948" } },
    ("She turns %d this year."):format(tonumber(os.date("%Y")) - 1948),
  },
}
