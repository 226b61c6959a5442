local expect = require "hearth.expect"

return {
  kind = "memory",
  tools = { "remember", "recall" },
  turns = {
    "Remember that the dentist is Dr. Okonjo.",
    "And remember that the piano tuner is Mr. Velasco.",
    { say = "Who was the piano tuner again?", new = true },
  },
  check = expect.answer { "Velasco", expect.none { "Okonjo" } },
  replies = {
    { "remember", { text = "The dentist is Dr. Okonjo." } }, "I will remember it.",
    { "remember", { text = "The piano tuner is Mr. Velasco." } }, "I will remember that too.",
    { "recall", { query = "piano tuner" } }, "The piano tuner is Mr. Velasco.",
  },
}
