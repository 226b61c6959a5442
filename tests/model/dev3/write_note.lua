local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file" },
  turns = { "Write \"Back at half past four\" to door.txt." },
  check = expect.all { expect.file("door.txt", "back at half past four"), expect.answer() },
  replies = { { "write_file", { path = "door.txt", content = "Back at half past four" } }, "I wrote it to door.txt." },
}
