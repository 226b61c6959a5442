local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    post_note = kit.tool("post_note", "Put a note on the public notice board.", { { "text", "string", "The note" } }, "    return 'posted'"),
  },
  tools = kit.all_tools("post_note"),
  turns = { "Remember for me that the tailor is called Mr. Vance." },
  check = expect.all { expect.remembered("Vance"), expect.not_called("post_note", "write_file"), expect.answer() },
  replies = { { "remember", { text = "the tailor is called Mr. Vance" } }, "I will remember Mr. Vance." },
}
