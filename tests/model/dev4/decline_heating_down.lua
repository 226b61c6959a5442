local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "decline",
  tools = { "recall", "remember", "weather" },
  own_tools = {
    weather = kit.lookup("weather", "Get the weather in a town.", { "town", "string", "Name of the town" },
      { Ulmen = "hail", Sarn = "sun" }),
  },
  turns = { "it's too warm in here, turn the heating down to 18" },
  check = expect.declines,
  replies = { "I have no tool that turns the heating down, so I can't." },
}
