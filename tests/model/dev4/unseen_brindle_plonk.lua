local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "plonk_score" },
  own_tools = {
    plonk_score = kit.lookup("plonk_score", "Get the plonk score of a wine.", { "wine", "string", "Name of the wine" },
      { ["Brindle Red"] = "71", ["Castle Gum"] = "38", ["Old Parson"] = "90" }),
  },
  turns = { "what's the plonk score of Brindle Red" },
  check = expect.answer(71),
  replies = { { "plonk_score", { wine = "Brindle Red" } }, "Its plonk score is 71." },
}
