local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  own_tools = {
    tank_level = kit.tool("tank_level", "Get the level of a water tank.", { { "tank", "string", "The tank, such as T1" } },
      [[    local level = ({ t1 = "640 litres", t2 = "275 litres", t3 = "910 litres" })[args.tank:lower()]
    if level then return level end
    return nil, "a tank is named T1 (house), T2 (garden) or T3 (stable)"]]),
  },
  tools = { "tank_level", "now" },
  turns = { "Can you see how full the garden tank is?" },
  check = expect.answer(275),
  replies = { { "tank_level", { tank = "garden" } }, { "tank_level", { tank = "T2" } }, "There are 275 litres in the garden tank." },
}
