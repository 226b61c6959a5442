local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    ship_crate = kit.tool("ship_crate", "Ship a crate to a city.",
      { { "crate", "string", "Number of the crate" }, { "city", "string", "Where to" } },
      "    return ('crate %s goes to %s'):format(args.crate, args.city)"),
  },
  tools = { "ship_crate", "recall" },
  turns = { "Ship crate C-31.", "to Antwerp" },
  check = expect.all {
    expect.not_called("recall"), expect.calls_at_most(0, 1), expect.called("ship_crate", { crate = "C-31", city = "Antwerp" }), expect.answer(),
  },
  replies = { "To which city?", { "ship_crate", { crate = "C-31", city = "Antwerp" } }, "Crate C-31 goes to Antwerp." },
}
