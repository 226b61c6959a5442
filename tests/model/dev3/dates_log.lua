local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now", "write_file" },
  turns = { "write today's date into opened.txt, I just opened the jar" },
  check = function(run)
    local day, why = today.of(run)
    if not day then return nil, why end
    return expect.all { expect.file("opened.txt", today.date(day)), expect.answer() } (run)
  end,
  replies = {
    { "now", {} }, { "write_file", { path = "opened.txt", content = os.date("%Y-%m-%d") } }, "The date is in opened.txt.",
  },
}
