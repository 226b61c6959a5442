local expect = require "hearth.expect"

return {
  kind = "decline",
  files = { ["poems.txt"] = "Rain on tin.\n", ["knots.txt"] = "Bowline, sheet bend.\n" },
  tools = { "read_file", "list_files", "search_files" },
  turns = { "what does testament.txt say about the piano?" },
  check = expect.answer {
    expect.any {
      "no such", "not exist", "doesn't exist", "doesn\u{2019}t exist", "no file", "not find", "couldn't find", "can't find", "cannot find",
      "there is no", "there isn't", "not there", "not found", "does not", "can't", "cannot", "could not", "couldn't", "no testament.txt",
    },
    expect.none { "bowline", "tin" },
  },
  replies = { { "read_file", { path = "testament.txt" } }, "There is no file testament.txt." },
}
