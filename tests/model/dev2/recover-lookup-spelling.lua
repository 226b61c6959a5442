local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recovery",
  own_tools = {
    yarn_stock = kit.lookup("yarn_stock", "How many balls of a yarn are in the shop.", { "yarn", "string", "Name of the yarn" },
      { ["Merino Extra"] = "26 balls", ["Cotton Soft"] = "13 balls", ["Alpaca Silk"] = "8 balls" }),
  },
  tools = { "yarn_stock", "calculate" },
  turns = { "how many balls of alpaca do we have?" },
  check = expect.all { expect.answer(8), expect.called("yarn_stock", { yarn = "Alpaca Silk" }) },
  replies = {
    { "yarn_stock", { yarn = "alpaca" } },
    { "yarn_stock", { yarn = "Alpaca Silk" } },
    "There are 8 balls of Alpaca Silk.",
  },
}
