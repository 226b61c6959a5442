local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    get_weather = kit.lookup("get_weather", "Get the weather of a city.", { "city", "string", "Name of the city" },
      { Oslo = "snow, -3 degrees", Lisbon = "sunny, 19 degrees", Nairobi = "cloudy, 24 degrees" }),
  },
  tools = kit.all_tools("get_weather"),
  turns = { "What is the weather in Lisbon?" },
  check = expect.all { expect.called("get_weather", { city = "Lisbon" }), expect.answer { "sunny", 19 } },
  replies = { { "get_weather", { city = "Lisbon" } }, "It is sunny in Lisbon, 19 degrees." },
}
