local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "dates",
  tools = { "now", "weekday_of" },
  own_tools = {
    weekday_of = kit.tool("weekday_of", "Tell the day of the week of a date.", { { "date", "string", "The date, YYYY-MM-DD" } }, [[
    local y, m, d = args.date:match("^%s*(%d%d%d%d)%-(%d%d)%-(%d%d)%s*$")
    if not y then return nil, "write the date as YYYY-MM-DD, such as 2030-07-01" end
    y, m, d = tonumber(y), tonumber(m), tonumber(d)
    local shift = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 }
    if m < 1 or m > 12 then return nil, "there are 12 months" end
    if m < 3 then y = y - 1 end
    local names = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }
    return names[(y + y // 4 - y // 100 + y // 400 + shift[m] + d) % 7 + 1] ]]),
  },
  turns = { "the wedding is on 9 May 2028, which weekday is that" },
  check = expect.answer "Tuesday",
  replies = { { "weekday_of", { date = "2028-05-09" } }, "That is a Tuesday." },
}
