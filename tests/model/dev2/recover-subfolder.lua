local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["garden/roses.txt"] = "Prune on 3 March.\n", ["garden/beans.txt"] = "Sow in May.\n" },
  tools = { "read_file", "list_files", "search_files" },
  turns = { "When do I prune? It's in roses.txt." },
  check = expect.answer { "March", expect.any { 3, "3rd", "third" } },
  replies = {
    { "read_file", { path = "roses.txt" } },
    { "search_files", { query = "prune" } },
    "You prune on 3 March.",
  },
}
