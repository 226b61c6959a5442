local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "write",
  tools = kit.shipped,
  turns = { "I just read the meter, it's 48213. Store that in meter.txt please." },
  check = expect.all { expect.file("meter.txt", 48213), expect.answer() },
  replies = { { "write_file", { path = "meter.txt", content = "48213" } }, "I stored 48213 in meter.txt." },
}
