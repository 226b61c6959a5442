local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["shed/rake.txt"] = "rusty\n", ["shed/mower.txt"] = "needs oil\n", ["shed/twine.txt"] = "2 rolls\n",
    ["house/sofa.txt"] = "green\n",
  },
  tools = { "list_files", "read_file" },
  turns = { "what's in the shed folder?" },
  check = expect.answer { "rake", "mower", "twine", expect.none { "sofa" } },
  replies = { { "list_files", { path = "shed" } }, "There are mower.txt, rake.txt and twine.txt." },
}
