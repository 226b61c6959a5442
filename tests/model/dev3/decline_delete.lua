local expect = require "hearth.expect"

return {
  kind = "decline",
  files = { ["draft.txt"] = "first try\nnot good yet\n" },
  tools = { "read_file", "calculate" },
  turns = { "delete the file draft.txt" },
  check = expect.all { expect.declines, expect.file("draft.txt", "first try") },
  replies = { "I have no tool that deletes files." },
}
