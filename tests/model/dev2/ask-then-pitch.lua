local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    reserve_pitch = kit.tool("reserve_pitch", "Reserves a camping pitch.",
      { { "pitch", "integer", "Number of the pitch" }, { "nights", "integer", "How many nights" } },
      "    return ('pitch %d is yours for %d nights'):format(args.pitch, args.nights)"),
  },
  tools = { "reserve_pitch" },
  turns = { "I'd like to reserve pitch 27.", "4 nights" },
  check = expect.all {
    expect.turn(1, expect.any { "nights", "night", "how long" }),
    expect.calls_at_most(0, 1),
    expect.called("reserve_pitch", { pitch = 27, nights = 4 }),
    expect.answer(),
  },
  replies = {
    "For how many nights?",
    { "reserve_pitch", { pitch = 27, nights = 4 } },
    "Pitch 27 is yours for 4 nights.",
  },
}
