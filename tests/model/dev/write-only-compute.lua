local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "How much is (48 + 27) / 5?" },
  check = expect.all { expect.answer(15), expect.only_files {}, expect.calls_at_most(2) },
  replies = { { "calculate", { expression = "(48 + 27) / 5" } }, "It is 15." },
}
