local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    open_gate = kit.tool("open_gate", "Opens a sluice gate.", { { "gate", "integer", "Number of the gate" } },
      "    return ('gate %d is open'):format(args.gate)"),
    close_gate = kit.tool("close_gate", "Closes a sluice gate.", { { "gate", "integer", "Number of the gate" } },
      "    return ('gate %d is closed'):format(args.gate)"),
  },
  tools = kit.all_tools("open_gate", "close_gate"),
  turns = { "close gate 3" },
  check = expect.all { expect.called("close_gate", { gate = 3 }), expect.not_called("open_gate"), expect.answer() },
  replies = { { "close_gate", { gate = 3 } }, "Gate 3 is closed." },
}
