local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    hours_of = kit.lookup("hours_of", "Get the opening hours of a shop.", { "shop", "string", "Name of the shop" },
      { Corvina = "10 to 18", Bellweather = "9 to 16" }),
    phone_of = kit.lookup("phone_of", "Get the phone number of a shop.", { "shop", "string", "Name of the shop" },
      { Corvina = "640-2271", Bellweather = "640-9358" }),
  },
  tools = kit.all_tools("hours_of", "phone_of"),
  turns = { "I want to ring the shop Bellweather. What's the number?" },
  check = expect.answer("640-9358"),
  replies = { { "phone_of", { shop = "Bellweather" } }, "The number is 640-9358." },
}
