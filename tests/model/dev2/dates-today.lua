local expect = require "hearth.expect"

local function today(text)
  local day = tonumber(os.date("%d"))
  local ordinal = expect.any { day, day .. "th", day .. "st", day .. "nd", day .. "rd" }
  return expect.any { os.date("%Y-%m-%d"), { os.date("%B"), ordinal } }(text)
end

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "What is the date today?" },
  check = expect.all { expect.called("now"), expect.answer(today) },
  replies = { { "now", {} }, "Today is " .. os.date("%Y-%m-%d") .. "." },
}
