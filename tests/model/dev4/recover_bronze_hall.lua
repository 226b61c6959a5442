local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  tools = { "guard_of" },
  own_tools = {
    guard_of = kit.lookup("guard_of", "Tell who guards a room of the museum.", { "room", "string", "Name of the room" },
      { ["bronze gallery"] = "Fenwick Oyelaran", ["map room"] = "Sunniva Back", ["fossil attic"] = "Leo Prat" }),
  },
  turns = { "Who guards the bronze hall?" },
  check = expect.answer { "Oyelaran", expect.none { "Sunniva", "Leo" } },
  replies = {
    { "guard_of", { room = "bronze hall" } }, { "guard_of", { room = "bronze gallery" } },
    "Fenwick Oyelaran guards it (the bronze gallery).",
  },
}
