local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recovery",
  own_tools = {
    scale_read = kit.lookup("scale_read", "Read a scale in the warehouse.", { "bay", "string", "Which bay, such as NORTH-1" },
      { ["EAST-2"] = "614 kg", ["WEST-5"] = "77 kg" }),
  },
  tools = { "scale_read", "calculate" },
  turns = { "what does the scale in bay east 2 say" },
  check = expect.all { expect.answer(614), expect.called("scale_read", { bay = "EAST-2" }) },
  replies = {
    { "scale_read", { bay = "east 2" } },
    { "scale_read", { bay = "EAST-2" } },
    "It says 614 kg.",
  },
}
