local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["cabin.txt"] = "gate code: 7391\nstove: gas\nneighbour: Birgit\n" },
  tools = { "read_file", "remember", "recall" },
  turns = { "Look up the gate code in cabin.txt and remember it for me, please." },
  check = expect.all { expect.remembered(7391), expect.answer() },
  replies = {
    { "read_file", { path = "cabin.txt" } }, { "remember", { text = "The gate code of the cabin is 7391." } },
    "I will remember that the gate code is 7391.",
  },
}
