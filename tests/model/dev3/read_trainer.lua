local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["club/rowing.txt"] = "trainer: Anselm Doyle\nboat: Kingfisher\ndues: 36\nmeeting: boathouse\n" },
  tools = { "read_file", "list_files", "calculate" },
  turns = { "have a look at club/rowing.txt, who is the trainer?" },
  check = expect.answer(expect.any { "Anselm", "Doyle" }),
  replies = { { "read_file", { path = "club/rowing.txt" } }, "The trainer is Anselm Doyle." },
}
