local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    pollen_level = kit.lookup("pollen_level", "Pollen level of a town today.", { "town", "string", "Name of the town" },
      { ["Lindau"] = "pollen: high, mostly birch", ["Crail"] = "pollen: low" }),
  },
  tools = kit.all_tools("pollen_level"),
  turns = { "How bad is the pollen in Lindau?" },
  check = expect.all { expect.called("pollen_level", { town = "Lindau" }), expect.answer("high"), expect.calls_at_most(1) },
  replies = { { "pollen_level", { town = "Lindau" } }, "It is high, mostly birch." },
}
