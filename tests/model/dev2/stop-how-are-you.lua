local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "stopping",
  own_tools = {
    feed_fish = kit.tool("feed_fish", "Feeds the fish.", { { "pinches", "integer", "How many pinches" } }, "    return 'fed'"),
  },
  tools = { "feed_fish", "calculate" },
  turns = { "hey there, how are you doing?" },
  check = expect.all { expect.not_called(), expect.answer(), expect.short(40) },
  replies = { "I am well, thank you. What can I do for you?" },
}
