local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  files = { ["shop.csv"] = "item,price\nlamp,35\nrug,120\nchair,49.5\n" },
  own_tools = {
    get_price = kit.tool("get_price", "Get the price of a share on the stock exchange.", { { "symbol", "string", "Ticker symbol" } },
      "    return nil, 'unknown symbol'"),
  },
  tools = kit.all_tools("get_price"),
  turns = { "What is the sum of the prices in shop.csv?" },
  check = expect.all { expect.answer(204.5), expect.not_called("get_price") },
  replies = { { "csv_query", { path = "shop.csv", column = "price", operation = "sum" } }, "The sum is 204.5." },
}
