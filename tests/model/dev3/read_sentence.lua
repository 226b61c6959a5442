local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["diary.txt"] = "We slept at the mill.\nThe dog found an old violin in the barn.\nSupper was soup.\n" },
  tools = { "read_file", "write_file" },
  turns = { "What did the dog find? It must be in diary.txt." },
  check = expect.answer("violin"),
  replies = { { "read_file", { path = "diary.txt" } }, "The dog found an old violin." },
}
