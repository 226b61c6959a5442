local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    water_plant = kit.tool("water_plant", "Water a plant.",
      { { "plant", "string", "Name of the plant" }, { "ml", "integer", "Water in millilitres" } },
      "    return ('gave %d ml to %s'):format(args.ml, args.plant)"),
  },
  tools = { "water_plant" },
  turns = { "water the fern", "200 ml" },
  check = expect.all {
    expect.called("water_plant", { plant = "fern", ml = 200 }), expect.calls_at_most(0, 1), expect.turn(1), expect.answer(),
  },
  replies = { "How much water should it get?", { "water_plant", { plant = "fern", ml = 200 } }, "The fern got 200 ml." },
}
