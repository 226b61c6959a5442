local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    lamp_switch = kit.tool("lamp_switch", "Switch a lamp on or off.",
      { { "lamp", "string", "Name of the lamp" }, { "state", "string", "on or off", enum = { "on", "off" } } },
      "    return args.lamp .. ' is ' .. args.state"),
  },
  tools = { "lamp_switch" },
  turns = { "Switch the lamp kitchen on and the lamp hall off." },
  check = expect.all {
    expect.called("lamp_switch", { lamp = "kitchen", state = "on" }),
    expect.called("lamp_switch", { lamp = "hall", state = "off" }),
    expect.calls_at_most(3),
  },
  replies = {
    { { "lamp_switch", { lamp = "kitchen", state = "on" } }, { "lamp_switch", { lamp = "hall", state = "off" } } },
    "The lamp in the kitchen is on, the one in the hall is off.",
  },
}
