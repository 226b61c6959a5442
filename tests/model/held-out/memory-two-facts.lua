local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall", "now" },
  turns = {
    "remember that the gate code is 60-21-B",
    "also remember that the bins go out on Tuesday",
    { say = "when do the bins go out?", new = true },
  },
  check = expect.all {
    expect.remembered("60-21-B"), expect.remembered { "bins", "Tuesday" }, expect.answer { "Tuesday" },
  },
  replies = {
    { "remember", { text = "the gate code is 60-21-B" } },
    "Saved.",
    { "remember", { text = "the bins go out on Tuesday" } },
    "Saved as well.",
    { "recall", { query = "bins go out" } },
    "They go out on Tuesday.",
  },
}
