local expect = require "hearth.expect"

return {
  kind = "dates",
  files = { ["clinic.txt"] = "2027-08-04 blood test\n2027-08-14 knee scan\n2027-09-14 dentist\n2027-10-01 flu jab\n" },
  tools = { "read_file", "now" },
  turns = { "What do I have on 14 August 2027? It's in clinic.txt" },
  check = expect.answer { "knee", expect.none { "blood", "dentist", "flu" } },
  replies = { { "read_file", { path = "clinic.txt" } }, "You have a knee scan." },
}
