local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["nursery.txt"] = "Pupil: Tamsin Roke\nAllergy: sesame\nPick-up: grandfather\n" },
  tools = { "read_file" },
  turns = { "Check nursery.txt. What is Tamsin allergic to?" },
  check = expect.answer("sesame"),
  replies = { { "read_file", { path = "nursery.txt" } }, "Tamsin is allergic to sesame." },
}
