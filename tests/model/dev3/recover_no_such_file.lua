local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["oats.txt"] = "2 bags\n" },
  tools = { "read_file" },
  turns = { "Tell me what the file insurance.txt says about the roof." },
  check = expect.all {
    expect.answer(expect.any {
      "no", "not", "isn't", "wasn't", "doesn't", "don't", "can't", "cannot", "couldn't", "unable", "missing", "nothing",
    }),
    expect.answer(expect.none { "2 bags" }),
  },
  replies = { { "read_file", { path = "insurance.txt" } }, "There is no file insurance.txt here." },
}
