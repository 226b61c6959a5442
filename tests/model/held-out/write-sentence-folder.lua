local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "write_file", "list_files" },
  turns = { 'write the sentence "Gate 14 closes at dusk" to signs/gate.txt' },
  check = expect.all { expect.file("signs/gate.txt", expect.exactly "Gate 14 closes at dusk"), expect.answer() },
  replies = { { "write_file", { path = "signs/gate.txt", content = "Gate 14 closes at dusk" } }, "It is in signs/gate.txt." },
}
