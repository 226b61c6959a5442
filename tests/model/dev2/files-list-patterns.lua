local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["patterns/apron.txt"] = "1 m\n", ["patterns/tote.txt"] = "0.5 m\n", ["bills.txt"] = "12\n" },
  tools = { "list_files", "search_files" },
  turns = { "what is in the folder patterns?" },
  check = expect.answer { "apron.txt", "tote.txt", expect.none { "bills.txt" } },
  replies = { { "list_files", { path = "patterns" } }, "apron.txt and tote.txt." },
}
