local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now" },
  turns = { "What's the date today?" },
  check = expect.all {
    expect.called("now"),
    function(run)
      local day, month = tonumber(os.date("%d")), os.date("%B")
      return expect.answer(expect.any { os.date("%Y-%m-%d"), { month, day }, os.date("%d.%m.%Y"), os.date("%d/%m/%Y") })(run)
    end,
  },
  replies = { { "now", {} }, "It is " .. os.date("%Y-%m-%d") .. "." },
}
