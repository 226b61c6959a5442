local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recovery",
  own_tools = {
    next_bus = kit.lookup("next_bus", "When the next bus leaves a stop.", { "stop", "string", "Name of the stop" },
      { ["Mill Bridge North"] = "bus 12 leaves at 17:52", ["Tannery Yard"] = "bus 4 leaves at 18:09" }),
  },
  tools = { "next_bus" },
  turns = { "Next bus from Mill Bridge?" },
  check = expect.all { expect.answer("17:52"), expect.called("next_bus", { stop = "Mill Bridge North" }) },
  replies = {
    { "next_bus", { stop = "Mill Bridge" } },
    { "next_bus", { stop = "Mill Bridge North" } },
    "Bus 12 leaves at 17:52.",
  },
}
