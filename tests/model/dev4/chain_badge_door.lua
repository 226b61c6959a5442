local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "chain",
  tools = { "badge_of", "door_of" },
  own_tools = {
    badge_of = kit.lookup("badge_of", "Find the badge number of a person.", { "person", "string", "First name" },
      { Mirela = "B-507", Hugo = "B-112", Anneke = "B-340" }),
    door_of = kit.lookup("door_of", "Find the door that a badge opens.", { "badge", "string", "Badge number" },
      { ["B-507"] = "north loading dock", ["B-112"] = "records cellar", ["B-340"] = "boat shed" }),
  },
  turns = { "which door does Mirela's badge open?" },
  check = expect.answer { "loading dock", expect.none { "cellar", "boat shed" } },
  replies = { { "badge_of", { person = "Mirela" } }, { "door_of", { badge = "B-507" } }, "It opens the north loading dock." },
}
