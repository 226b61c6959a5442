local expect = require "hearth.expect"

return {
  kind = "files",
  tools = { "list_files", "write_file" },
  turns = { "are there any files in the workspace?" },
  check = expect.all {
    expect.called("list_files"), expect.answer(expect.any { "no", "none", "not", "empty", "aren't" }), expect.only_files {},
  },
  replies = { { "list_files", {} }, "No, there are none." },
}
