local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["ferry.txt"] = "ship: Marigold\npier: 9\nleaves: 07:40\ncabin: 512\n" },
  tools = { "read_file", "now" },
  turns = { "Please check ferry.txt and tell me the pier and the cabin." },
  check = expect.answer { expect.any { 9, "nine" }, 512 },
  replies = { { "read_file", { path = "ferry.txt" } }, "It is pier 9 and cabin 512." },
}
