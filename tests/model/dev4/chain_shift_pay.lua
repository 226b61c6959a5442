local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["shifts.txt"] = "name: Lidia\nhours this week: 26\nplace: fish market\n" },
  tools = { "read_file", "calculate", "write_file" },
  turns = { "shifts.txt has my hours this week. I get 14.50 an hour. Work out my pay and write it to pay.txt" },
  check = expect.file("pay.txt", 377),
  replies = {
    { "read_file", { path = "shifts.txt" } }, { "calculate", { expression = "26 * 14.50" } },
    { "write_file", { path = "pay.txt", content = "377\n" } }, "Your pay is 377, and it is in pay.txt.",
  },
}
