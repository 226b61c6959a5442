local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["choir.txt"] = "Bettina - alto\nWendell - bass\nSuri - soprano\nHamish - tenor\n" },
  tools = { "read_file" },
  turns = { "who sings bass according to choir.txt?" },
  check = expect.answer { "Wendell", expect.none { "Bettina", "Suri", "Hamish" } },
  replies = { { "read_file", { path = "choir.txt" } }, "Wendell sings bass." },
}
