--- Dates of the run itself: what the tool `now` answered, or this moment when it was not asked.
local expect = require "hearth.expect"
local M = {}

--- A check that `now` was called, and that the answer holds want(day): `day` has year, month, day, hour, minute (numbers),
-- weekday and month_name (English).
function M.answer(want)
  return function(run)
    local day, why = M.of(run)
    if not day then return nil, why end
    return expect.answer(want(day))(run)
  end
end

--- The day that `now` told in this run.
function M.of(run)
  for _, call in ipairs(run.calls) do
    if call.name == "now" and call.ok then
      local weekday, y, m, d, hour, minute = call.result:match("(%a+), (%d+)%-(%d+)%-(%d+) (%d+):(%d+)")
      local day = { weekday = weekday, year = y, month = m, day = d, hour = hour, minute = minute }
      for key, value in pairs(day) do day[key] = key == "weekday" and value or tonumber(value) end
      day.month_name = os.date("%B", os.time { year = day.year, month = day.month, day = 15 })
      return day
    end
  end
  return nil, "now was not called"
end

--- A date as text: in digits, or the month by name with the day.
function M.date(day)
  local ordinal = function(text)
    for n in text:lower():gmatch("(%d+)%a%a") do if tonumber(n) == day.day then return true end end
    return nil, "no day of the month"
  end
  local short = day.month_name:sub(1, 3)
  return expect.any {
    ("%04d-%02d-%02d"):format(day.year, day.month, day.day),
    ("%d/%d/%d"):format(day.month, day.day, day.year), ("%d/%d/%d"):format(day.day, day.month, day.year),
    ("%02d/%02d/%d"):format(day.month, day.day, day.year), ("%02d/%02d/%d"):format(day.day, day.month, day.year),
    ("%d.%d.%d"):format(day.day, day.month, day.year), ("%02d.%02d.%d"):format(day.day, day.month, day.year),
    { expect.any { day.month_name, short }, expect.any { day.day, ordinal } },
  }
end

--- A time of the day, of 24 or of 12 hours, a minute off at most.
function M.time(day)
  local forms = {}
  for off = -1, 1 do
    local minutes = (day.hour * 60 + day.minute + off) % 1440
    local hour, minute = minutes // 60, minutes % 60
    for _, form in ipairs { "%d:%02d", "%02d:%02d" } do
      forms[#forms + 1] = form:format(hour, minute)
      forms[#forms + 1] = form:format((hour + 11) % 12 + 1, minute)
    end
  end
  return expect.any(forms)
end

return M
