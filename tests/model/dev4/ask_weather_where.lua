local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "weather", "calculate" },
  own_tools = {
    weather = kit.lookup("weather", "Get the weather in a town.", { "town", "string", "Name of the town" },
      { Ulmen = "hail", Sarn = "sun", Pell = "mist" }),
  },
  turns = { "How's the weather?" },
  check = expect.asks(expect.any { "town", "where", "place", "city", "which" }),
  replies = { "In which town?" },
}
