local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    stage_lamp = kit.tool("stage_lamp", "Sets the colour of a stage lamp.",
      { { "lamp", "integer", "Number of the lamp" }, { "colour", "string", "Colour of the light" } },
      "    return ('lamp %d: %s'):format(args.lamp, args.colour)"),
  },
  tools = { "stage_lamp" },
  turns = { "Change the colour of stage lamp 4." },
  check = expect.asks(expect.any { "colour", "color" }),
  replies = { "Which colour should lamp 4 have?" },
}
