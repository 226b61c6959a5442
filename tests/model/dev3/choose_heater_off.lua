local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    switch_on = kit.tool("switch_on", "Switch a device on.", {
      { "device", "string", "The device", enum = { "heater", "lamp", "fan" } } }, [[return args.device .. " is on"]]),
    switch_off = kit.tool("switch_off", "Switch a device off.", {
      { "device", "string", "The device", enum = { "heater", "lamp", "fan" } } }, [[return args.device .. " is off"]]),
  },
  tools = { "switch_on", "switch_off", "now", "recall" },
  turns = { "It's far too hot in here, switch the heater off please." },
  check = expect.all { expect.called("switch_off", { device = "heater" }), expect.not_called("switch_on"), expect.answer() },
  replies = { { "switch_off", { device = "heater" } }, "The heater is off." },
}
