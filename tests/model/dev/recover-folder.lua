local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["recipes/bread.txt"] = "flour 500 g\nwater 350 g\nsalt 11 g\n" },
  tools = { "read_file", "list_files", "search_files" },
  turns = { "How much salt does bread.txt ask for? It may be in the folder recipes." },
  check = expect.all { expect.answer(11), expect.calls_at_most(6) },
  replies = {
    { "read_file", { path = "bread.txt" } },
    { "read_file", { path = "recipes/bread.txt" } },
    "It asks for 11 g of salt.",
  },
}
