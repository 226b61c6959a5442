local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "write_file", "read_file" },
  turns = { 'save "The plumber comes on Friday." in house.txt' },
  check = expect.all { expect.file("house.txt", expect.exactly "The plumber comes on Friday."), expect.answer() },
  replies = {
    { "write_file", { path = "house.txt", content = "The plumber comes on Friday." } },
    "Saved in house.txt.",
  },
}
