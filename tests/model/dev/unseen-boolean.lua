local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    kiln_program = kit.tool("kiln_program", "Start the kiln.",
      { { "celsius", "integer", "Temperature" }, { "glaze", "boolean", "Whether it is a glaze firing" } },
      "    return ('kiln started, %d degrees, job K%d'):format(args.celsius, args.glaze and 71 or 12)"),
  },
  tools = { "kiln_program" },
  turns = { "Start the kiln for a glaze firing at 1220 degrees." },
  check = expect.all { expect.called("kiln_program", { celsius = 1220, glaze = true }), expect.calls_at_most(1), expect.answer() },
  replies = { { "kiln_program", { celsius = 1220, glaze = true } }, "The kiln has started, job K71." },
}
