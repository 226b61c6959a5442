local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "tunnock_swap" },
  own_tools = {
    tunnock_swap = kit.tool("tunnock_swap", "Turn tunnocks into florrins.", { { "tunnocks", "integer", "How many tunnocks" } },
      [[    return ("%d florrins"):format(args.tunnocks * 13 - 1)]]),
  },
  turns = { "I have 6 tunnocks, how many florrins do I get for them?" },
  check = expect.answer(77),
  replies = { { "tunnock_swap", { tunnocks = 6 } }, "You get 77 florrins." },
}
