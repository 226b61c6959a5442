local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["a.txt"] = "milk\nbread\n",
    ["b.txt"] = "call Dr. Hollis on Tuesday\n",
    ["c.txt"] = "paint the fence\n",
  },
  tools = { "search_files", "read_file" },
  turns = { "Which file mentions Hollis?" },
  check = expect.all { expect.answer("b.txt"), expect.answer(expect.none { "a.txt", "c.txt" }) },
  replies = { { "search_files", { query = "Hollis" } }, "b.txt mentions Hollis." },
}
