local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    bottle_price = kit.tool("bottle_price", "Get the price of a bottle.", { { "drink", "string", "Name of the drink" } },
      [[return "2.30"]]),
  },
  tools = kit.all_tools("bottle_price"),
  turns = { "There are 23 crates with 48 bottles each. How many bottles is that?" },
  check = expect.answer(1104),
  replies = { { "calculate", { expression = "23 * 48" } }, "That is 1104 bottles." },
}
