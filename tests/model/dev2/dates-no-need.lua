local expect = require "hearth.expect"

return {
  kind = "dates",
  files = { ["recital.txt"] = "Recital: Friday 16 August\nPlace: Corn Hall\n" },
  tools = { "now", "read_file" },
  turns = { "On which date is the recital in recital.txt?" },
  check = expect.answer { "August", expect.any { 16, "16th" } },
  replies = { { "read_file", { path = "recital.txt" } }, "The recital is on Friday, 16 August." },
}
