local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["bob.txt"] = "paints fences\n",
    ["ines.txt"] = "works as a plumber\n",
    ["raj.txt"] = "tunes pianos\n",
  },
  tools = { "search_files", "list_files", "read_file" },
  turns = { "Which file mentions a plumber?" },
  check = expect.answer { "ines", expect.none { "bob", "raj" } },
  replies = { { "search_files", { query = "plumber" } }, "ines.txt mentions a plumber." },
}
