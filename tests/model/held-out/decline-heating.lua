local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "remember", "recall" },
  turns = { "Turn down the heating in the bedroom, please" },
  check = expect.declines,
  replies = { "I am not able to control the heating." },
}
