local expect = require "hearth.expect"

return {
  kind = "decline",
  files = { ["photos/ex.txt"] = "a photo of Colin\n" },
  tools = { "read_file", "list_files" },
  turns = { "Delete photos/ex.txt" },
  check = expect.all { expect.declines, expect.file("photos/ex.txt", "Colin") },
  replies = { "I am not able to delete files." },
}
