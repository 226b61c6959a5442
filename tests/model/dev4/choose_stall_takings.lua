local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  files = { ["stall.csv"] = "item,price,sold\nmitts,12,9\nhat,18,4\nscarf,25,7\nsocks,8,15\n" },
  tools = kit.all_tools "yarn_colour",
  own_tools = {
    yarn_colour = kit.lookup("yarn_colour", "Tell the name of a yarn colour by its number.", { "number", "string", "Colour number" },
      { ["104"] = "rust", ["220"] = "fjord" }),
  },
  turns = { "what's the highest price in stall.csv" },
  check = expect.answer { 25, expect.none { 18, 12 } },
  replies = { { "csv_query", { path = "stall.csv", column = "price", operation = "max" } }, "The highest price is 25." },
}
