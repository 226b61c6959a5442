local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  tools = { "moonrise" },
  own_tools = {
    moonrise = kit.tool("moonrise", "Tell when the moon rises on a day.", { { "day", "string", "The day" } }, [[
    if not args.day:find("^%d%d%.%d%d%.%d%d%d%d$") then return nil, "write the day as DD.MM.YYYY, such as 07.01.2030" end
    if args.day == "05.06.2029" then return "02:51" end
    return "23:17"]]),
  },
  turns = { "When does the moon rise on 5 June 2029?" },
  check = expect.answer(expect.any { "02:51", "2:51" }),
  replies = { { "moonrise", { day = "5 June 2029" } }, { "moonrise", { day = "05.06.2029" } }, "It rises at 2:51." },
}
