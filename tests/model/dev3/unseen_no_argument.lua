local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    hive_tally = kit.tool("hive_tally", "Count the bees at the hive.", {}, [[return "18260 bees"]]),
  },
  tools = { "hive_tally", "now", "calculate" },
  turns = { "I wonder how many bees there are at the hive right now." },
  check = expect.answer(18260),
  replies = { { "hive_tally", {} }, "There are 18260 bees at the hive." },
}
