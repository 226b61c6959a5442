local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    zlabel_emit = kit.tool("zlabel_emit", "Prints labels.",
      {
        { "caption", "string", "Text on the label" },
        { "copies", "integer", "How many" },
        { "colour", "string", "Colour of the ink", enum = { "black", "red", "green" }, optional = true },
      },
      "    return ('%d labels printed'):format(args.copies)"),
  },
  tools = { "zlabel_emit" },
  turns = { "Print 12 labels that say Fragile, in red." },
  check = expect.all {
    expect.called("zlabel_emit", { caption = "Fragile", copies = 12, colour = "red" }),
    expect.calls_at_most(1),
    expect.answer(),
  },
  replies = { { "zlabel_emit", { caption = "Fragile", copies = 12, colour = "red" } }, "12 labels are printed." },
}
