local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "order_spronges", "list_files" },
  own_tools = {
    order_spronges = kit.tool("order_spronges", "Order spronges for the workshop.", {
      { "colour", "string", "Colour of the spronges" }, { "count", "integer", "How many" },
    }, [[    return ("ordered; the slip is %s%d"):format(args.colour:sub(1, 1):upper(), args.count + 8000)]]),
  },
  turns = { "order 25 green spronges and give me the slip number" },
  check = expect.all { expect.called("order_spronges", { colour = "green", count = 25 }), expect.answer "G8025" },
  replies = { { "order_spronges", { colour = "green", count = 25 } }, "They are ordered. The slip is G8025." },
}
