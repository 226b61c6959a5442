local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["sonata.txt"] = "in F\n", ["waltz.txt"] = "in G\n", ["march.txt"] = "in D\n" },
  tools = { "list_files", "read_file" },
  turns = { "Which files do I have here?" },
  check = expect.answer { "sonata.txt", "waltz.txt", "march.txt" },
  replies = { { "list_files", {} }, "You have march.txt, sonata.txt and waltz.txt." },
}
