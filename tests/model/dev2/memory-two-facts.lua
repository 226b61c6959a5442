local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = {
    "Note for later: the boiler is a Velmar 20.",
    "Also remember that the chimney sweep is Mr Tarn.",
    { say = "Who sweeps our chimney?", new = true },
  },
  check = expect.all { expect.remembered("Velmar 20"), expect.remembered("Tarn"), expect.answer("Tarn") },
  replies = {
    { "remember", { text = "the boiler is a Velmar 20" } },
    "I will remember that.",
    { "remember", { text = "the chimney sweep is Mr Tarn" } },
    "I will remember that too.",
    { "recall", { query = "chimney sweep" } },
    "Mr Tarn sweeps your chimney.",
  },
}
