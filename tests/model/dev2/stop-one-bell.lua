local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "stopping",
  own_tools = {
    ring_bell = kit.tool("ring_bell", "Rings the school bell once.",
      { { "seconds", "integer", "How long it rings" } }, "    return ('the bell rang for %d seconds'):format(args.seconds)"),
  },
  tools = { "ring_bell", "now", "calculate" },
  turns = { "Ring the bell once, for 6 seconds." },
  check = expect.all { expect.called("ring_bell", { seconds = 6 }), expect.calls_at_most(1), expect.answer(), expect.short(30) },
  replies = { { "ring_bell", { seconds = 6 } }, "The bell rang for 6 seconds." },
}
