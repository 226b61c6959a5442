local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["invoice_kranz.txt"] = "450\n", ["logo.svg"] = "<svg/>\n", ["hours.csv"] = "day,h\nMon,4\n" },
  tools = { "list_files", "search_files", "read_file" },
  turns = { "show me what files I have" },
  check = expect.answer { "invoice_kranz", "logo", "hours" },
  replies = { { "list_files", {} }, "You have hours.csv, invoice_kranz.txt and logo.svg." },
}
