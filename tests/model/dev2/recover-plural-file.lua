local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["tickets.txt"] = "Row K, seats 21 and 22\n" },
  tools = { "read_file", "list_files" },
  turns = { "read ticket.txt, which row do we sit in?" },
  check = expect.answer("K"),
  replies = {
    { "read_file", { path = "ticket.txt" } },
    { "list_files", {} },
    { "read_file", { path = "tickets.txt" } },
    "You sit in row K.",
  },
}
