local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  own_tools = {
    toll_of = kit.lookup("toll_of", "Get the toll of a tunnel.", { "tunnel", "string", "Name of the tunnel" },
      { Karstberg = "14.20", Wolfsjoch = "11.70" }),
  },
  tools = { "toll_of", "calculate" },
  turns = { "We drive through the Karsberg tunnel on Sunday. How much is the toll?" },
  check = expect.answer(14.2),
  replies = { { "toll_of", { tunnel = "Karsberg" } }, { "toll_of", { tunnel = "Karstberg" } }, "The toll is 14.20." },
}
