local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["contracts/hall.txt"] = "Hire of the hall\nfrom 18:00 to 23:00\nchairs: 80\n",
    ["contracts/tent.txt"] = "Hire of one tent\nDeposit: 175 euros\nbring back by Sunday\n",
  },
  tools = { "search_files", "read_file", "list_files" },
  turns = { "Search my contracts for the word deposit. How much is it?" },
  check = expect.answer(175),
  replies = { { "search_files", { query = "deposit", path = "contracts" } }, "The deposit is 175 euros." },
}
