local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "zibber_fare", "calculate" },
  own_tools = {
    zibber_fare = kit.tool("zibber_fare", "Get the price of a zibber ride.", {
      { "start", "string", "Where the ride begins" }, { "finish", "string", "Where the ride ends" },
    }, [[
    local key = args.start:lower() .. ">" .. args.finish:lower()
    local found = ({ ["wexcombe>holt"] = "7.20", ["holt>wexcombe"] = "8.90" })[key]
    if found then return found end
    return nil, "no zibber runs there; there are Wexcombe and Holt"]]),
  },
  turns = { "How much is a zibber from Holt to Wexcombe?" },
  check = expect.answer { 8.9, expect.none { 7.2 } },
  replies = { { "zibber_fare", { start = "Holt", finish = "Wexcombe" } }, "It costs 8.90." },
}
