local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    weather_in = kit.tool("weather_in", "Get the weather of a town.", { { "town", "string", "Name of the town" } },
      [[return "rain in " .. args.town]]),
  },
  tools = { "weather_in", "read_file" },
  turns = { "What will the weather be like today?" },
  check = expect.asks(expect.any { "town", "city", "place", "where", "location", "which", "what" }),
  replies = { "For which town do you want the weather?" },
}
