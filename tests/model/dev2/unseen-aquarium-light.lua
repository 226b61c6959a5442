local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    aqLampMode = kit.tool("aqLampMode", "Sets the lamp of the aquarium.",
      { { "mode", "string", "Mode of the lamp", enum = { "day", "dusk", "moon", "off" } } }, "    return 'lamp: ' .. args.mode"),
  },
  tools = { "aqLampMode" },
  turns = { "switch the aquarium to moon light" },
  check = expect.all { expect.called("aqLampMode", { mode = "moon" }), expect.calls_at_most(1), expect.answer() },
  replies = { { "aqLampMode", { mode = "moon" } }, "The lamp is in moon mode." },
}
