local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "decline",
  own_tools = {
    song_of = kit.lookup("song_of", "Get the song that a band is known for.", { "band", "string", "Name of the band" },
      { Larkspur = "Glass Harbour", ["The Ninth Oar"] = "Tin Roof" }),
  },
  tools = { "song_of", "now" },
  turns = { "The music is too loud for the baby, could you turn the volume down?" },
  check = expect.declines,
  replies = { "I have no tool to change the volume, sorry." },
}
