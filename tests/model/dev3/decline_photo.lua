local expect = require "hearth.expect"

return {
  kind = "decline",
  tools = { "list_files", "now" },
  turns = { "Would you take a photo of the yard for me?" },
  check = expect.declines,
  replies = { "I am not able to take photos." },
}
