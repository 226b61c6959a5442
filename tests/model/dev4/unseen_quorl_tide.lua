local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "quorl_reading", "now" },
  own_tools = {
    quorl_reading = kit.tool("quorl_reading", "Read the quorl of a buoy.", {
      { "buoy", "integer", "Number of the buoy" },
      { "side", "string", "Which side; the east side if left out", optional = true, enum = { "east", "west" } },
    }, [[    return ("quorl %d"):format(args.buoy * 3 + (args.side == "west" and 500 or 200))]]),
  },
  turns = { "Read me the quorl of buoy 44, west side." },
  check = expect.answer(632),
  replies = { { "quorl_reading", { buoy = 44, side = "west" } }, "The quorl is 632." },
}
