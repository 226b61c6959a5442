local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "read_file" },
  turns = { "which year do we have" },
  check = expect.all {
    expect.called("now"),
    function(run) return expect.answer(tonumber(os.date("%Y")))(run) end,
  },
  replies = { { "now", {} }, os.date("It is %Y.") },
}
