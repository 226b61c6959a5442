local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["songs/anchor.txt"] = "la\n", ["songs/barley.txt"] = "la\n", ["songs/crow.txt"] = "la\n", ["songs/dune.txt"] = "la\n",
    ["songs/ember.txt"] = "la\n", ["readme.txt"] = "the band book\n",
  },
  tools = { "list_files" },
  turns = { "how many songs do we have in the songs folder" },
  check = expect.answer(expect.any { 5, "five" }),
  replies = { { "list_files", { path = "songs" } }, "There are 5 songs." },
}
