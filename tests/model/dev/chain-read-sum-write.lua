local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["hours.txt"] = "Mon 7\nTue 8\nWed 6\nThu 9\n" },
  tools = { "read_file", "calculate", "write_file" },
  turns = { "Read hours.txt, add up the hours and save the total in total.txt." },
  check = expect.all { expect.file("total.txt", 30), expect.answer() },
  replies = {
    { "read_file", { path = "hours.txt" } },
    { "calculate", { expression = "7 + 8 + 6 + 9" } },
    { "write_file", { path = "total.txt", content = "30" } },
    "The total of 30 hours is in total.txt.",
  },
}
