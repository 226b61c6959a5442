local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now" },
  turns = { "what day of the week is it?" },
  check = expect.answer(os.date "!%A"),
  replies = { { "now", {} }, os.date "!It is %A." },
}
