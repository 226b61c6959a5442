local expect = require "hearth.expect"

return {
  kind = "compute and write",
  files = { ["status.txt"] = "closed\n" },
  tools = { "write_file", "read_file" },
  turns = { "Change status.txt so that it only says: open until 18:00" },
  check = expect.all { expect.file("status.txt", expect.exactly "open until 18:00"), expect.answer() },
  replies = { { "write_file", { path = "status.txt", content = "open until 18:00" } }, "status.txt now says: open until 18:00." },
}
