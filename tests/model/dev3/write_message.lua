local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file", "remember", "now" },
  turns = { "leave a note for Sanna in sanna.txt: the parcel is with the neighbours" },
  check = expect.all { expect.file("sanna.txt", { "parcel", "neighbours" }), expect.answer() },
  replies = { { "write_file", { path = "sanna.txt", content = "The parcel is with the neighbours." } }, "The note is in sanna.txt." },
}
