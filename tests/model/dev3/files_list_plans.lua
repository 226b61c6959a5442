local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["plans/pond.txt"] = "deep: 2 m\n", ["plans/stairs.txt"] = "steps: 13\n", ["plans/attic.txt"] = "beams: 6\n",
    ["readme.txt"] = "see plans\n",
  },
  tools = { "list_files", "search_files", "write_file" },
  turns = { "Be so kind and name the files in the folder plans." },
  check = expect.answer { "pond", "stairs", "attic" },
  replies = { { "list_files", { path = "plans" } }, "They are attic.txt, pond.txt and stairs.txt." },
}
