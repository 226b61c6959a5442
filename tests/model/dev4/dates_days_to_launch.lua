local expect = require "hearth.expect"
local kit = require "_kit"

local day_of = [[
    local function day_of(text)
      local y, m, d = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
      if not y then return nil end
      y, m, d = tonumber(y), tonumber(m), tonumber(d)
      local a = (14 - m) // 12
      local yy, mm = y + 4800 - a, m + 12 * a - 3
      return d + (153 * mm + 2) // 5 + 365 * yy + yy // 4 - yy // 100 + yy // 400
    end
]]
local noon = os.date "!*t"
local apart = math.floor((os.time { year = 2031, month = 3, day = 3, hour = 12 }
  - os.time { year = noon.year, month = noon.month, day = noon.day, hour = 12 }) / 86400 + 0.5)

return {
  kind = "dates",
  tools = { "now", "days_between" },
  own_tools = {
    days_between = kit.tool("days_between", "Count the days between two dates.", {
      { "from", "string", "First date, YYYY-MM-DD" }, { "to", "string", "Last date, YYYY-MM-DD" },
    }, day_of .. [[
    local from, to = day_of(args.from), day_of(args.to)
    if not from or not to then return nil, "write dates as YYYY-MM-DD, such as 2030-07-01" end
    return ("%d days"):format(to - from)]]),
  },
  turns = { "How many days are left from today until 2031-03-03? That's when the probe launches." },
  check = expect.answer(apart),
  replies = {
    { "now", {} }, { "days_between", { from = os.date "!%Y-%m-%d", to = "2031-03-03" } }, ("There are %d days left."):format(apart),
  },
}
