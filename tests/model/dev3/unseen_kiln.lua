local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    kiln_program_set = kit.tool("kiln_program_set", "Set the kiln to a temperature for some hours.", {
      { "celsius", "integer", "Temperature in degrees Celsius" }, { "hours", "integer", "How many hours" } },
      [[return "kiln set, ready in slot " .. (args.celsius + args.hours)]]),
  },
  tools = { "kiln_program_set" },
  turns = { "Set the kiln to 980 degrees for 9 hours, please. Which slot is it ready in?" },
  check = expect.all { expect.called("kiln_program_set", { celsius = 980, hours = 9 }), expect.answer(989) },
  replies = { { "kiln_program_set", { celsius = 980, hours = 9 } }, "It is ready in slot 989." },
}
