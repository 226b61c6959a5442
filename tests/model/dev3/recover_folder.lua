local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["recordings/owl.txt"] = "taped at dusk\n", ["recordings/loon.txt"] = "taped at dawn\n" },
  tools = { "list_files" },
  turns = { "list the files in the folder recording" },
  check = expect.answer { "owl", "loon" },
  replies = {
    { "list_files", { path = "recording" } }, { "list_files", { path = "recordings" } }, "The files are loon.txt and owl.txt.",
  },
}
