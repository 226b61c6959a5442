local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "chain",
  own_tools = {
    price_of = kit.lookup("price_of", "Get the price of an article in euros.", { "article", "string", "Name of the article" },
      { nails = "6.45", screws = "8.20", glue = "4.95" }),
  },
  tools = { "price_of", "calculate" },
  turns = { "I need 14 boxes of nails. What will that cost me?" },
  check = expect.answer(90.3),
  replies = { { "price_of", { article = "nails" } }, { "calculate", { expression = "14 * 6.45" } }, "That costs 90.30 euros." },
}
