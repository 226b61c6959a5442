local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "order_taxi" },
  own_tools = {
    order_taxi = kit.tool("order_taxi", "Order a taxi.", {
      { "from", "string", "Where it picks you up" }, { "destination", "string", "Where it takes you" }, { "time", "string", "When" },
    }, [[    return "ordered"]]),
  },
  turns = { "I need a taxi at 9 from the Corn Exchange" },
  check = expect.asks(expect.any { "where", "destination", "going", "go" }),
  replies = { "Where do you want to go?" },
}
