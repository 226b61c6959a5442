local expect = require "hearth.expect"

return {
  kind = "chain",
  files = {
    ["inbox/offer_zander.txt"] = "Dear all,\nwe can repair the organ for 6,350 crowns.\nKind regards, Zander & Son\n",
    ["sent/old.txt"] = "no\n",
  },
  tools = { "list_files", "read_file" },
  turns = { "There's one file in the inbox folder. What price do they ask in it?" },
  check = expect.answer(6350),
  replies = {
    { "list_files", { path = "inbox" } }, { "read_file", { path = "inbox/offer_zander.txt" } }, "They ask 6,350 crowns.",
  },
}
