local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recovery",
  own_tools = {
    set_press = kit.tool("set_press", "Sets the clamping force of the press.", { { "force", "integer", "Force, 1 to 50" } },
      "    if args.force < 1 or args.force > 50 then return nil, 'force must be 1 to 50; 50 is the most' end\n"
        .. "    return ('press at %d'):format(args.force)"),
  },
  tools = { "set_press" },
  turns = { "Set the press to 80. If that's too much, take the most it allows." },
  check = expect.all { expect.called("set_press", { force = 50 }), expect.answer(50) },
  replies = { { "set_press", { force = 80 } }, { "set_press", { force = 50 } }, "80 is too much, so the press is at 50." },
}
