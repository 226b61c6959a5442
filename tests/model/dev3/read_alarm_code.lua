local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["house.txt"] = "bins: Tuesday\nalarm code: 40928\ncat food: cellar\n" },
  tools = { "read_file" },
  turns = { "What is the alarm code in house.txt?" },
  check = expect.answer(40928),
  replies = { { "read_file", { path = "house.txt" } }, "The alarm code is 40928." },
}
