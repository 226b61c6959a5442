local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["ferry.txt"] = "Kelpie Line, winter\nfirst boat: 06:40\nlast boat: 19:25\nno boats on Mondays\n" },
  tools = { "read_file" },
  turns = { "when does the last boat go? it's in ferry.txt" },
  check = expect.answer(expect.any { "19:25", "7:25" }),
  replies = { { "read_file", { path = "ferry.txt" } }, "The last boat goes at 19:25." },
}
