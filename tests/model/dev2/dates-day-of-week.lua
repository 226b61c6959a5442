local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "recall" },
  turns = { "which day of the week do we have?" },
  check = expect.all { expect.called("now"), expect.answer(os.date("%A")) },
  replies = { { "now", {} }, "It is " .. os.date("%A") .. "." },
}
