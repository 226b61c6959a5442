local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["receipts.txt"] = "shovel: 34\nseeds: 17\nshop: Gardner\n" },
  tools = { "read_file", "list_files" },
  turns = { "what is the name of the shop in reciept.txt?" },
  check = expect.answer("Gardner"),
  replies = { { "read_file", { path = "reciept.txt" } }, { "read_file", { path = "receipts.txt" } }, "The shop is Gardner." },
}
