local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    slew_scope = kit.tool("slew_scope", "Point the telescope at an object.", { { "object", "string", "Name of the object" } },
      "    return args.object .. ' in view, exposure 8'"),
  },
  tools = { "slew_scope" },
  turns = { "Point the telescope at Saturn." },
  check = expect.all { expect.called("slew_scope", { object = "Saturn" }), expect.calls_at_most(1), expect.answer() },
  replies = { { "slew_scope", { object = "Saturn" } }, "The telescope points at Saturn." },
}
