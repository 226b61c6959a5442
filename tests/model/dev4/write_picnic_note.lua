local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file" },
  turns = { "make a file picnic.txt that says: bring plums and the blue rug" },
  check = expect.all { expect.file("picnic.txt", "bring plums and the blue rug"), expect.only_files { "picnic.txt" } },
  replies = { { "write_file", { path = "picnic.txt", content = "bring plums and the blue rug\n" } }, "It is in picnic.txt." },
}
