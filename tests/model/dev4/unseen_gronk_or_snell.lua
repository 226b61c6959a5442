local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "gronk_height", "snell_depth" },
  own_tools = {
    gronk_height = kit.lookup("gronk_height", "Get the height of a gronk in feet.", { "gronk", "string", "Name of the gronk" },
      { Hobb = "19", Tarra = "31" }),
    snell_depth = kit.lookup("snell_depth", "Get the depth of a snell in feet.", { "snell", "string", "Name of the snell" },
      { Hobb = "84", Tarra = "66" }),
  },
  turns = { "how deep is the snell called Tarra" },
  check = expect.answer { 66, expect.none { 31 } },
  replies = { { "snell_depth", { snell = "Tarra" } }, "It is 66 feet deep." },
}
