local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    count_words = kit.tool("count_words", "Count the words in a text.", { { "text", "string", "The text" } },
      "    local _, n = args.text:gsub('%S+', '')\n    return tostring(n)"),
  },
  tools = kit.all_tools("count_words"),
  turns = { 'How many words are in "seven grey geese cross the wet field"?' },
  check = expect.all { expect.called("count_words"), expect.answer(expect.any { 7, "seven words" }) },
  replies = { { "count_words", { text = "seven grey geese cross the wet field" } }, "There are 7 words." },
}
