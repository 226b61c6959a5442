local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["kiln.txt"] = "clay: speckled buff\ncone: 6\nramp: 110 C per hour\nhold: 25 minutes\ncool: slow\n" },
  tools = { "read_file", "write_file" },
  turns = { "Look in kiln.txt. What cone do I fire to, and how long is the hold?" },
  check = expect.answer { 6, 25 },
  replies = { { "read_file", { path = "kiln.txt" } }, "Fire to cone 6 and hold for 25 minutes." },
}
