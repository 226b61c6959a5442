local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    xrf_assay = kit.lookup("xrf_assay", "Metal content of an ore sample.", { "sample", "string", "Label of the sample" },
      { ["T-41"] = "copper 3.7 percent", ["T-42"] = "zinc 6.2 percent" }),
  },
  tools = { "xrf_assay", "calculate" },
  turns = { "what did sample T-42 show?" },
  check = expect.all { expect.called("xrf_assay", { sample = "T-42" }), expect.answer { "zinc", 6.2 }, expect.calls_at_most(1) },
  replies = { { "xrf_assay", { sample = "T-42" } }, "It showed 6.2 percent zinc." },
}
