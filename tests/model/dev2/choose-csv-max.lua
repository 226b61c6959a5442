local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  files = { ["jumps.csv"] = "athlete,cm\nLise,412\nTom,398\nGreta,431\n" },
  own_tools = {
    jump_record = kit.lookup("jump_record", "World record of a jumping event.", { "event", "string", "Name of the event" },
      { ["long jump"] = "895 cm", ["high jump"] = "245 cm" }),
  },
  tools = kit.all_tools("jump_record"),
  turns = { "What is the largest cm in jumps.csv?" },
  check = expect.all { expect.answer(431), expect.not_called("jump_record") },
  replies = { { "csv_query", { path = "jumps.csv", column = "cm", operation = "max" } }, "The largest is 431 cm." },
}
