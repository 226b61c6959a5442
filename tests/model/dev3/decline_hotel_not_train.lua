local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "decline",
  own_tools = {
    hotel_price = kit.tool("hotel_price", "Get the price of a night in a hotel.", { { "hotel", "string", "Name of the hotel" } },
      [[return "112"]]),
  },
  tools = { "hotel_price", "calculate" },
  turns = { "I'd like a seat on the night train, can you reserve it?" },
  check = expect.declines,
  replies = { "I can't reserve train seats, I only know prices of hotels." },
}
