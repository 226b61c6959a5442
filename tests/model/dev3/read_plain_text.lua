local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["motto.txt"] = "Every oar pulls the same boat.\n" },
  tools = { "read_file", "recall" },
  turns = { "tell me what motto.txt says" },
  check = expect.answer { "oar", "boat" },
  replies = { { "read_file", { path = "motto.txt" } }, "It says: Every oar pulls the same boat." },
}
