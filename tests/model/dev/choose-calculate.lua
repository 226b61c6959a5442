local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    flip_text = kit.tool("flip_text", "Turn a text around.", { { "text", "string", "The text" } }, "    return args.text:reverse()"),
  },
  tools = kit.all_tools("flip_text"),
  turns = { "what is 391 minus 148" },
  check = expect.all { expect.called("calculate"), expect.answer(243), expect.calls_at_most(2) },
  replies = { { "calculate", { expression = "391 - 148" } }, "It is 243." },
}
