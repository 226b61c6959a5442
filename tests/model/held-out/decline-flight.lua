local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "declining",
  own_tools = {
    spell_check = kit.tool("spell_check", "Check the spelling of a word.", { { "word", "string", "The word" } }, "    return 'correct'"),
  },
  tools = { "spell_check", "now" },
  turns = { "book me a flight to Reykjavik" },
  check = expect.declines,
  replies = { "Sorry, I cannot book flights." },
}
