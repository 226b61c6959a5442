local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["soup.txt"] = "leek, potato, cream\n", ["stew.txt"] = "lamb, carrot, thyme\n" },
  tools = { "search_files", "write_file" },
  turns = { "Does any of my files mention saffron?" },
  check = expect.all {
    expect.called("search_files"),
    expect.answer(expect.any { "no", "none", "not", "nothing", "doesn't", "don't" }),
    expect.only_files { "soup.txt", "stew.txt" },
  },
  replies = { { "search_files", { query = "saffron" } }, "No, none of them mentions saffron." },
}
