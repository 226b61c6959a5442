local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "read_file" },
  turns = {
    "please remember: the school bus is the 37",
    "and remember that the bins go out on Wednesday",
    { say = "which day do the bins go out?", new = true },
  },
  check = expect.all { expect.remembered(37), expect.remembered "Wednesday", expect.answer "Wednesday" },
  replies = {
    { "remember", { text = "The school bus is the 37" } }, "Saved.",
    { "remember", { text = "The bins go out on Wednesday" } }, "Saved.",
    { "recall", { query = "bins" } }, "They go out on Wednesday.",
  },
}
