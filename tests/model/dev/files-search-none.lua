local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["menu.txt"] = "soup\nstew\ncake\n" },
  tools = { "search_files", "write_file" },
  turns = { "Does any file contain the word pancake?" },
  check = expect.all {
    expect.called("search_files", { query = "pancake" }),
    expect.answer(expect.any { "no", "not", "none", "doesn't", "does not", "nothing" }),
    expect.only_files { "menu.txt" },
  },
  replies = { { "search_files", { query = "pancake" } }, "No, no file contains it." },
}
