local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  files = { ["cellar.txt"] = "shelf 1: jam\nshelf 2: candles\nshelf 3: spare fuses\n" },
  tools = kit.all_tools "shelf_price",
  own_tools = {
    shelf_price = kit.lookup("shelf_price", "Tell what a new shelf costs.", { "size", "string", "small or large" },
      { small = "29 euros", large = "54 euros" }),
  },
  turns = { "Have a look at cellar.txt. What is on shelf 2?" },
  check = expect.answer { "candles", expect.none { "jam", "fuses" } },
  replies = { { "read_file", { path = "cellar.txt" } }, "Candles." },
}
