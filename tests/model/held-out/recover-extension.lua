local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["minutes.md"] = "chair: Philippa Stroud\npresent: 14\n" },
  tools = { "list_files", "read_file", "calculate" },
  turns = { "Who was the chair? The minutes are in minutes.txt, or in a file of a similar name." },
  check = expect.answer("Philippa Stroud"),
  replies = {
    { "read_file", { path = "minutes.txt" } },
    { "list_files", {} },
    { "read_file", { path = "minutes.md" } },
    "The chair was Philippa Stroud.",
  },
}
