local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "memory",
  tools = kit.shipped,
  turns = {
    "Our guest Leopold must not eat walnuts, so keep that in memory.",
    { say = "what is it that Leopold must not eat?", new = true },
  },
  check = expect.all {
    expect.remembered { "Leopold", expect.any { "walnuts", "walnut" } }, expect.answer(expect.any { "walnuts", "walnut" }),
  },
  replies = {
    { "remember", { text = "Leopold must not eat walnuts." } }, "I will keep it in mind.",
    { "recall", { query = "Leopold must not eat" } }, "Leopold must not eat walnuts.",
  },
}
