local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "chain",
  own_tools = {
    badge_of = kit.lookup("badge_of", "Get the badge number of a person.", { "name", "string", "Name of the person" },
      { Ravindra = "B-4417", Ulrike = "B-2093", Tomasz = "B-5528" }),
    door_of = kit.lookup("door_of", "Get the door that a badge opens.", { "badge", "string", "Badge number" },
      { ["B-4417"] = "east door", ["B-2093"] = "cellar door", ["B-5528"] = "roof door" }),
  },
  tools = { "badge_of", "door_of" },
  turns = { "Which door can Ulrike open with her badge?" },
  check = expect.answer("cellar"),
  replies = { { "badge_of", { name = "Ulrike" } }, { "door_of", { badge = "B-2093" } }, "Her badge opens the cellar door." },
}
