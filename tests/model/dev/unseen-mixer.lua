local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    mix_paint = kit.tool("mix_paint", "Mix a paint.",
      { { "color", "string", "The color" }, { "liters", "number", "How much" }, { "finish", "string", "The finish", enum = { "matt", "gloss" } } },
      "    return ('mixed %s liters of %s %s, batch B-417'):format(args.liters, args.finish, args.color)"),
  },
  tools = { "mix_paint" },
  turns = { "Mix 2.5 liters of green paint, gloss." },
  check = expect.all {
    expect.called("mix_paint", { color = "green", liters = 2.5, finish = "gloss" }), expect.calls_at_most(1), expect.answer(),
  },
  replies = { { "mix_paint", { color = "green", liters = 2.5, finish = "gloss" } }, "Done, batch B-417." },
}
