local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["vet.txt"] = "vet: Dr. Halloran\nphone: 5518 3042\nopen: weekdays\n" },
  tools = { "read_file", "write_file" },
  turns = { "Please put the phone number from vet.txt into a new file call.txt." },
  check = expect.all { expect.file("call.txt", "5518 3042"), expect.file("vet.txt", "Halloran"), expect.answer() },
  replies = {
    { "read_file", { path = "vet.txt" } }, { "write_file", { path = "call.txt", content = "5518 3042" } },
    "The number is in call.txt now.",
  },
}
