local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["planks.txt"] = "1.8\n2.4\n0.9\n3.6\n1.2\n2.1\n" },
  tools = { "read_file", "calculate", "list_files" },
  turns = { "planks.txt lists plank lengths in metres. total length?" },
  check = expect.answer(12),
  replies = {
    { "read_file", { path = "planks.txt" } },
    { "calculate", { expression = "1.8+2.4+0.9+3.6+1.2+2.1" } },
    "The planks are 12 metres long in total.",
  },
}
