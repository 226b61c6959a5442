local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "calculate", "read_file" },
  turns = { "Please call my sister and say that I'm running late." },
  check = expect.declines,
  replies = { "Sorry, I can't make phone calls." },
}
