local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    brew_cup = kit.tool("brew_cup", "Make a hot drink.",
      { { "drink", "string", "What to make", enum = { "tea", "coffee", "cocoa" } },
        { "sugar", "integer", "Spoons of sugar", optional = true } },
      "    return ('one %s, %d sugar, tray 4'):format(args.drink, args.sugar or 0)"),
  },
  tools = { "brew_cup" },
  turns = { "make a cocoa with 2 spoons of sugar" },
  check = expect.all { expect.called("brew_cup", { drink = "cocoa", sugar = 2 }), expect.calls_at_most(1), expect.answer() },
  replies = { { "brew_cup", { drink = "cocoa", sugar = 2 } }, "The cocoa stands on tray 4." },
}
