local expect = require "hearth.expect"

-- The clock moves on between the call and the check, so what the tool said is what counts; the minute at which
-- this file was loaded is what `replies` can say.
local loaded = os.date("%H:%M")

local function said_time(run)
  for _, call in ipairs(run.calls) do
    local hour, minute = call.result:match("(%d%d):(%d%d):%d%d")
    if call.name == "now" and hour then
      local h, late = tonumber(hour), tonumber(hour) >= 12
      local twelve = (h + 11) % 12 + 1
      return expect.answer(expect.any {
        loaded,
        hour .. ":" .. minute,
        h .. ":" .. minute,
        { twelve .. ":" .. minute, late and expect.any { "pm", "p.m" } or expect.any { "am", "a.m" } },
      })(run)
    end
  end
  return nil, "now was not called"
end

return {
  kind = "dates",
  tools = { "now" },
  turns = { "Got the time?" },
  check = said_time,
  replies = { { "now", {} }, "It is " .. loaded .. "." },
}
