local expect = require "hearth.expect"

local poem = "Grey goose on the pond,\nyou have no letters to answer.\nStay a while.\n"

return {
  kind = "write",
  files = { ["draft.txt"] = poem },
  tools = { "read_file", "write_file" },
  turns = { "copy draft.txt to goose.txt, word for word" },
  check = expect.all { expect.file("goose.txt", expect.exactly(poem)), expect.file("draft.txt", expect.exactly(poem)) },
  replies = { { "read_file", { path = "draft.txt" } }, { "write_file", { path = "goose.txt", content = poem } }, "Copied." },
}
