local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "remember" },
  turns = { "find out what day of the week it is and remember that the fridge was cleaned on that day" },
  check = expect.all {
    expect.called("now"),
    function(run) return expect.remembered { "fridge", expect.any { os.date("%A"), os.date("%Y-%m-%d") } } (run) end,
  },
  replies = { { "now", {} }, { "remember", { text = os.date("the fridge was cleaned on %A") } }, "I will remember it." },
}
