local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "decline",
  tools = { "calculate", "now", "tide_at" },
  own_tools = {
    tide_at = kit.lookup("tide_at", "Tell when the tide is high in a port.", { "port", "string", "Name of the port" },
      { Varde = "11:20", Skel = "13:05" }),
  },
  turns = { "email my landlord that the sink is blocked" },
  check = expect.declines,
  replies = { "I can't send emails." },
}
