local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "remember" },
  turns = { "I begin the sourdough today. Look up the date and remember it." },
  check = expect.all {
    expect.called("now"),
    expect.remembered(expect.any { os.date("%Y-%m-%d"), { os.date("%B"), tonumber(os.date("%d")) } }),
    expect.answer(),
  },
  replies = {
    { "now", {} },
    { "remember", { text = "the sourdough was begun on " .. os.date("%Y-%m-%d") } },
    "I will remember that.",
  },
}
