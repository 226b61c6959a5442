local expect = require "hearth.expect"

return {
  kind = "stopping",
  files = { ["score.txt"] = "Home 3, Visitors 5\n", ["league.txt"] = "third place\n" },
  tools = { "read_file", "list_files", "search_files", "write_file" },
  turns = { "How many goals did the visitors score? It's in score.txt. Short answer." },
  check = expect.all {
    expect.answer(expect.any { 5, "five" }),
    expect.calls_at_most(1),
    expect.short(15),
    expect.only_files { "score.txt", "league.txt" },
  },
  replies = { { "read_file", { path = "score.txt" } }, "The visitors scored 5." },
}
