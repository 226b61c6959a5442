local expect = require "hearth.expect"

local function today(text)
  local day = tonumber(os.date("%d"))
  return expect.any { os.date("%Y-%m-%d"), { os.date("%B"), day }, { os.date("%B"), expect.any { day .. "th", day .. "st", day .. "nd", day .. "rd" } } }(text)
end

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "What is the date today?" },
  check = expect.all { expect.called("now"), expect.answer(today) },
  replies = { { "now", {} }, "Today is " .. os.date("%Y-%m-%d") .. "." },
}
