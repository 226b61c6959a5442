local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    lm_shed_raise = kit.tool("lm_shed_raise", "Raises one shaft of the loom.",
      { { "shaft", "integer", "Number of the shaft" }, { "lock", "boolean", "Whether it stays up" } },
      "    return ('shaft %d is up%s'):format(args.shaft, args.lock and ', locked' or '')"),
  },
  tools = { "lm_shed_raise" },
  turns = { "Raise shaft 5 of the loom and lock it." },
  check = expect.all { expect.called("lm_shed_raise", { shaft = 5, lock = true }), expect.calls_at_most(1), expect.answer() },
  replies = { { "lm_shed_raise", { shaft = 5, lock = true } }, "Shaft 5 is up and locked." },
}
