local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["contacts.txt"] = "Wilma Sand: 555-0142\nXaver Pohl: 555-0199\nYusuf Acar: 555-0123\n" },
  tools = { "search_files" },
  turns = { "What is Xaver Pohl's number? Search contacts.txt." },
  check = expect.answer { "555-0199", expect.none { "555-0142", "555-0123" } },
  replies = { { "search_files", { query = "Xaver Pohl", path = "contacts.txt" } }, "It is 555-0199." },
}
