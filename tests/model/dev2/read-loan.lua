local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["loan.txt"] = "Item: hedge trimmer\nLent to: Agathe\n" },
  tools = { "read_file" },
  turns = { "I noted a loan in loan.txt. Who has it, and what is it?" },
  check = expect.answer { "Agathe", "hedge trimmer" },
  replies = { { "read_file", { path = "loan.txt" } }, "Agathe has the hedge trimmer." },
}
