local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    reserve_table = kit.tool("reserve_table", "Reserve a table in a restaurant.",
      { { "restaurant", "string", "Its name" }, { "people", "integer", "How many people" }, { "time", "string", "When" } },
      "    return 'reserved'"),
  },
  tools = { "reserve_table" },
  turns = { "Reserve a table." },
  check = expect.asks(expect.any { "restaurant", "people", "time", "when", "where", "how many", "which" }),
  replies = { "For how many people, when, and in which restaurant?" },
}
