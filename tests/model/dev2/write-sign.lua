local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "write_file", "list_files" },
  turns = { 'Make a file sign.txt that says "Wet paint, use the side door".' },
  check = expect.file("sign.txt", "wet paint, use the side door"),
  replies = { { "write_file", { path = "sign.txt", content = "Wet paint, use the side door" } }, "sign.txt is written." },
}
