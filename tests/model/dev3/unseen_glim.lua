local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    glim_of = kit.lookup("glim_of", "Get the glim of a lighthouse, the pattern of its light.",
      { "lighthouse", "string", "Name of the lighthouse" },
      { Skerryvane = "4 short, 1 long", Tolmouth = "2 long" }),
  },
  tools = { "glim_of" },
  turns = { "What is the glim of Skerryvane?" },
  check = expect.answer { expect.any { 4, "four" }, expect.any { 1, "one" } },
  replies = { { "glim_of", { lighthouse = "Skerryvane" } }, "The glim of Skerryvane is 4 short, 1 long." },
}
