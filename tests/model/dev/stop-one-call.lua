local expect = require "hearth.expect"

return {
  kind = "stopping",
  files = { ["quote.txt"] = "Patience is a bitter plant, but its fruit is sweet.\n" },
  tools = { "read_file", "write_file", "calculate", "search_files" },
  turns = { "show me quote.txt" },
  check = expect.all {
    expect.answer("Patience is a bitter plant"), expect.calls_at_most(1), expect.short(30), expect.only_files { "quote.txt" },
  },
  replies = { { "read_file", { path = "quote.txt" } }, "Patience is a bitter plant, but its fruit is sweet." },
}
