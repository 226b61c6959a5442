local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "calculate" },
  turns = { "Our house was built in 1931. How old is it this year?" },
  check = expect.all { expect.called("now"), expect.answer(tonumber(os.date("%Y")) - 1931) },
  replies = {
    { "now", {} },
    { "calculate", { expression = os.date("%Y") .. "-1931" } },
    ("It is %d years old."):format(tonumber(os.date("%Y")) - 1931),
  },
}
