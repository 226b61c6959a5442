local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["ledger.xls.txt"] = "1", ["invoice_0412.txt"] = "2", ["readme.md"] = "3", ["seal.svg"] = "<svg/>" },
  tools = { "list_files", "search_files", "now" },
  turns = { "Show me what is in this folder" },
  check = expect.answer { "ledger.xls.txt", "invoice_0412.txt", "readme.md", "seal.svg" },
  replies = { { "list_files", {} }, "invoice_0412.txt, ledger.xls.txt, readme.md and seal.svg" },
}
