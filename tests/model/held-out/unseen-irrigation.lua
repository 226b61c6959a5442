local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    drip_zone = kit.tool("drip_zone", "Water a zone of the field.",
      { { "zone", "integer", "Number of the zone" }, { "minutes", "integer", "How long" } },
      "    return ('zone %d ran %d minutes, used %d litres'):format(args.zone, args.minutes, args.minutes * 13)"),
  },
  tools = { "drip_zone", "now" },
  turns = { "water zone 7 for 30 minutes and tell me how many litres it used" },
  check = expect.all { expect.called("drip_zone", { zone = 7, minutes = 30 }), expect.answer(390) },
  replies = { { "drip_zone", { zone = 7, minutes = 30 } }, "It used 390 litres." },
}
