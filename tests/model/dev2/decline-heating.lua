local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "declining",
  own_tools = {
    set_blind = kit.tool("set_blind", "Moves a window blind.",
      { { "room", "string", "Name of the room" }, { "down", "boolean", "Whether it goes down" } }, "    return 'moved'"),
  },
  tools = { "set_blind", "calculate" },
  turns = { "Could you turn the heating up to 21?" },
  check = expect.declines,
  replies = { "I can't turn up the heating: there is no tool for it." },
}
