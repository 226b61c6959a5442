local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "mumble_word", "read_file", "calculate" },
  own_tools = { mumble_word = kit.tool("mumble_word", "Get the mumble word of this night.", {}, [[    return "quillow"]]) },
  turns = { "what's the mumble word tonight?" },
  check = expect.answer "quillow",
  replies = { { "mumble_word", {} }, "The mumble word is quillow." },
}
