local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "remember", "write_file" },
  turns = { "what is the square root of 5776?" },
  check = expect.all { expect.answer(76), expect.only_files {}, expect.called("calculate") },
  replies = { { "calculate", { expression = "sqrt(5776)" } }, "It is 76." },
}
