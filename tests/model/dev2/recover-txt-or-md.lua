local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["anchor.md"] = "The anchor weighs 16 kg.\n" },
  tools = { "read_file", "list_files" },
  turns = { "How heavy is the anchor? See anchor.txt." },
  check = expect.answer(16),
  replies = {
    { "read_file", { path = "anchor.txt" } },
    { "list_files", {} },
    { "read_file", { path = "anchor.md" } },
    "The anchor weighs 16 kg.",
  },
}
