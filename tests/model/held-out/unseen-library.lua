local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    opac9_where = kit.lookup("opac9_where", "Find the shelf of a book by its number.", { "call_no", "string", "Number of the book" },
      { ["QH 541"] = "floor 3, shelf 18", ["PS 3507"] = "floor 1, shelf 2" }),
    opac9_renew = kit.tool("opac9_renew", "Keep a borrowed book for longer.", { { "call_no", "string", "Number of the book" } },
      "    return 'renewed'"),
  },
  tools = { "opac9_renew", "opac9_where" },
  turns = { "On which shelf is the book QH 541?" },
  check = expect.all { expect.called("opac9_where", { call_no = "QH 541" }), expect.answer(18), expect.not_called("opac9_renew") },
  replies = { { "opac9_where", { call_no = "QH 541" } }, "It is on floor 3, shelf 18." },
}
