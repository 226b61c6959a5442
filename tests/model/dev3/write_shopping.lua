local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file", "read_file" },
  turns = { "please make a file shop.txt with onions, candles and rope in it" },
  check = expect.all { expect.file("shop.txt", { "onions", "candles", "rope" }), expect.answer() },
  replies = { { "write_file", { path = "shop.txt", content = "onions\ncandles\nrope\n" } }, "The file shop.txt holds the three things." },
}
