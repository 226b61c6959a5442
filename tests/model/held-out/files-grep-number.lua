local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["inbox/01.txt"] = "Your order 5521 was sent.\n",
    ["inbox/02.txt"] = "Your order 5530 waits for payment.\n",
    ["inbox/03.txt"] = "Happy birthday!\n",
  },
  tools = { "search_files", "list_files" },
  turns = { "In which message does order 5530 occur?" },
  check = expect.answer { "02.txt", expect.none { "01.txt", "03.txt" } },
  replies = { { "search_files", { query = "5530" } }, "In inbox/02.txt." },
}
