local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "open_valve", "read_file", "now" },
  own_tools = {
    open_valve = kit.tool("open_valve", "Open one of the water valves of the greenhouse.", {
      { "valve", "integer", "Number of the valve" }, { "minutes", "integer", "How long it stays open" },
    }, [[    return "open"]]),
  },
  turns = { "Open a water valve for 10 minutes" },
  check = expect.asks(expect.any { "which", "valve", "number" }),
  replies = { "Which valve shall I open?" },
}
