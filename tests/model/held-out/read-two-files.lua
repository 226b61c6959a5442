local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["left.txt"] = "the left door is green\n", ["right.txt"] = "the right door is amber\n" },
  tools = { "read_file" },
  turns = { "Read left.txt and right.txt. What color is each door?" },
  check = expect.answer { "green", "amber" },
  replies = {
    { { "read_file", { path = "left.txt" } }, { "read_file", { path = "right.txt" } } },
    "The left door is green, the right door is amber.",
  },
}
