local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "list_files", "recall" },
  turns = { "Tell me which month it is." },
  check = expect.all {
    expect.called("now"),
    function(run) return expect.answer(expect.any { os.date("%B"), os.date("%Y-%m") })(run) end,
  },
  replies = { { "now", {} }, os.date("It is %B.") },
}
