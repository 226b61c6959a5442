local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "now" },
  turns = { "my name is Tamsin, please remember that", { say = "Hello again! Do you still know my name?", new = true } },
  check = expect.answer("Tamsin"),
  replies = {
    { "remember", { text = "The user's name is Tamsin." } }, "I will remember your name, Tamsin.",
    { "recall", { query = "name" } }, "Your name is Tamsin.",
  },
}
