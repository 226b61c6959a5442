local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    stock_of = kit.lookup("stock_of", "Get how many pieces of an article are in stock.", { "article", "string", "Name of the article" },
      { mugs = "83", bowls = "27", plates = "140" }),
    price_of = kit.lookup("price_of", "Get the price of an article.", { "article", "string", "Name of the article" },
      { mugs = "9.40", bowls = "12.10", plates = "7.70" }),
    shelf_of = kit.lookup("shelf_of", "Get the shelf where an article lies.", { "article", "string", "Name of the article" },
      { mugs = "R12", bowls = "R19", plates = "R31" }),
  },
  tools = { "price_of", "stock_of", "shelf_of" },
  turns = { "how many mugs do we still have in stock?" },
  check = expect.answer(83),
  replies = { { "stock_of", { article = "mugs" } }, "There are 83 mugs in stock." },
}
