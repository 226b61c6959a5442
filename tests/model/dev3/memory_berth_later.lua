local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = { "Note for later: my boat lies at berth C17.", { say = "At which berth is my boat?", new = true } },
  check = expect.all { expect.remembered("C17"), expect.answer("C17") },
  replies = {
    { "remember", { text = "My boat lies at berth C17." } }, "I have noted it.",
    { "recall", { query = "boat berth" } }, "Your boat is at berth C17.",
  },
}
