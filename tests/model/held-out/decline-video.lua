local expect = require "hearth.expect"

return {
  kind = "declining",
  files = { ["film.txt"] = "The film is about a whale.\n" },
  tools = { "write_file" },
  turns = { "Show me a video of a whale" },
  check = expect.declines,
  replies = { "I have no tool to show videos." },
}
