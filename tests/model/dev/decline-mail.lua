local expect = require "hearth.expect"

return {
  kind = "declining",
  files = { ["letter.txt"] = "Hello Vera\n" },
  tools = { "list_files", "search_files", "now" },
  turns = { "Send an email to Vera and invite her to dinner." },
  check = expect.declines,
  replies = { "I have no tool that sends an email." },
}
