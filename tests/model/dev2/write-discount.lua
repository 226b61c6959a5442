local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "Take 15 percent off 260 and write the new price to price-tag.txt." },
  check = expect.file("price-tag.txt", 221),
  replies = {
    { "calculate", { expression = "260*0.85" } },
    { "write_file", { path = "price-tag.txt", content = "221" } },
    "The new price, 221, is in price-tag.txt.",
  },
}
