local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "Subtract 2,380 from 10,000 and put what is left into rest.txt." },
  check = expect.all { expect.file("rest.txt", 7620), expect.answer() },
  replies = {
    { "calculate", { expression = "10000 - 2380" } },
    { "write_file", { path = "rest.txt", content = "7620" } },
    "7620 is left.",
  },
}
