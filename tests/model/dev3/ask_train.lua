local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    next_train = kit.tool("next_train", "Find the next train between two stations.", {
      { "from", "string", "Station where the trip begins" }, { "to", "string", "Station where it ends" },
    }, [[return "next train from " .. args.from .. " to " .. args.to .. ": 17:52"]]),
  },
  tools = { "next_train", "now", "remember" },
  turns = { "when does the next train to Odrava leave?" },
  check = expect.asks(expect.any { "from", "where", "station", "which", "start", "departure", "begin", "what" }),
  replies = { "From which station do you leave?" },
}
