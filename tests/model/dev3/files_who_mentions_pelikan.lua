local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["july.txt"] = "pen: Lamy\nink: black\n", ["august.txt"] = "pen: Pelikan\nink: violet\n", ["june.txt"] = "pen: none\n",
  },
  tools = { "search_files", "read_file", "list_files" },
  turns = { "In which of my files does the word Pelikan stand?" },
  check = expect.answer { "august", expect.none { "july", "june" } },
  replies = { { "search_files", { query = "Pelikan" } }, "It stands in august.txt." },
}
