local expect = require "hearth.expect"

return {
  kind = "chains",
  files = {
    ["recipes/one.txt"] = "Fennel tart\nbake 35 minutes\nserves 6\n",
    ["recipes/two.txt"] = "Plum dumplings\nboil 12 minutes\nserves 4\n",
  },
  tools = { "search_files", "read_file", "list_files" },
  turns = { "Find my recipe for plum dumplings and tell me how many it serves." },
  check = expect.answer(expect.any { 4, "four" }),
  replies = {
    { "search_files", { query = "plum dumplings" } },
    { "read_file", { path = "recipes/two.txt" } },
    "It serves 4.",
  },
}
