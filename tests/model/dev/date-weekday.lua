local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "What day of the week is it?" },
  check = expect.all {
    expect.called("now"),
    function(run) return expect.answer(os.date("%A"))(run) end,
  },
  replies = { { "now", {} }, os.date("It is %A.") },
}
