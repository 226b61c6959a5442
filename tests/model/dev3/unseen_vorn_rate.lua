local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    vorn_rate = kit.lookup("vorn_rate", "Get the daily fee of a berth, in vorn.", { "berth", "string", "Letter of the berth" },
      { K = "52", M = "67", P = "71" }),
  },
  tools = kit.all_tools("vorn_rate"),
  turns = { "hi, what's the daily fee for berth M?" },
  check = expect.answer(67),
  replies = { { "vorn_rate", { berth = "M" } }, "The daily fee is 67 vorn." },
}
