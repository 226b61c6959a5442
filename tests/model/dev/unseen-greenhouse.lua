local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    gh7_vent_set = kit.tool("gh7_vent_set", "Open or close the roof vent of the greenhouse.",
      { { "percent", "integer", "How far it is open, 0 to 100" } }, "    return ('vent at %d percent'):format(args.percent)"),
  },
  tools = { "gh7_vent_set" },
  turns = { "open the greenhouse vent to 40 percent" },
  check = expect.all { expect.called("gh7_vent_set", { percent = 40 }), expect.calls_at_most(1), expect.answer() },
  replies = { { "gh7_vent_set", { percent = 40 } }, "The vent is open at 40 percent." },
}
