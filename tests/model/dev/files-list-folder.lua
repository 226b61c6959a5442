local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["photos/lake.jpg.txt"] = "x", ["photos/barn.jpg.txt"] = "x", ["todo.txt"] = "y" },
  tools = { "list_files" },
  turns = { "list the files in the folder photos" },
  check = expect.answer { "lake.jpg.txt", "barn.jpg.txt", expect.none { "todo.txt" } },
  replies = { { "list_files", { path = "photos" } }, "barn.jpg.txt and lake.jpg.txt" },
}
