local expect = require "hearth.expect"

return {
  kind = "stopping",
  files = { ["verse.txt"] = "The kettle hums,\nthe window fogs,\nthe cat has gone.\n" },
  tools = { "read_file", "search_files", "write_file" },
  turns = { "What has gone, according to verse.txt?" },
  check = expect.all { expect.answer("cat"), expect.calls_at_most(1), expect.short(15), expect.only_files { "verse.txt" } },
  replies = { { "read_file", { path = "verse.txt" } }, "The cat has gone." },
}
