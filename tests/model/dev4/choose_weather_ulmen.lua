local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.all_tools("weather", "ski_lifts"),
  own_tools = {
    weather = kit.lookup("weather", "Get the weather in a town.", { "town", "string", "Name of the town" },
      { Ulmen = "hail, 3 degrees", Sarn = "sun, 19 degrees", Pell = "mist, 8 degrees" }),
    ski_lifts = kit.lookup("ski_lifts", "Tell how many ski lifts are open in a town.", { "town", "string", "Name of the town" },
      { Ulmen = "14 open", Sarn = "0 open", Pell = "2 open" }),
  },
  turns = { "do I need a coat in Ulmen, how's the weather there?" },
  check = expect.all { expect.called("weather", { town = "Ulmen" }), expect.answer "hail" },
  replies = { { "weather", { town = "Ulmen" } }, "Yes: there is hail in Ulmen, and 3 degrees." },
}
