local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["vet.txt"] = "Patient: Biscuit\nDrops: 7 each evening\nNext visit: in spring\n" },
  tools = { "read_file", "remember", "recall" },
  turns = {
    "Read vet.txt and remember how many drops Biscuit gets.",
    { say = "how many drops does Biscuit get?", new = true },
  },
  check = expect.all { expect.remembered(expect.any { 7, "seven" }), expect.answer(expect.any { 7, "seven" }) },
  replies = {
    { "read_file", { path = "vet.txt" } },
    { "remember", { text = "Biscuit gets 7 drops each evening" } },
    "I will remember: 7 drops each evening.",
    { "recall", { query = "Biscuit drops" } },
    "Biscuit gets 7 drops.",
  },
}
