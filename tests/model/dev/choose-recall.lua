local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  memories = { "the alarm code of the shed is 7741" },
  own_tools = {
    unlock_door = kit.tool("unlock_door", "Unlock a door.", { { "door", "string", "Which door" } }, "    return 'unlocked'"),
  },
  tools = kit.all_tools("unlock_door"),
  turns = { "what do you remember about the alarm code of the shed?" },
  check = expect.all { expect.called("recall"), expect.answer(7741), expect.not_called("unlock_door", "remember") },
  replies = { { "recall", { query = "alarm code shed" } }, "The alarm code of the shed is 7741." },
}
