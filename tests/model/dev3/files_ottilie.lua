local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["people/north.txt"] = "Casimir: room 118\nBeatrix: room 164\n", ["people/south.txt"] = "Ottilie: room 237\nFergus: room 252\n",
  },
  tools = { "search_files" },
  turns = { "Please search my files for Ottilie, I need her room." },
  check = expect.answer { 237 },
  replies = { { "search_files", { query = "Ottilie" } }, "Ottilie has room 237." },
}
