local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["postcards/riga.txt"] = "Rain!\n", ["postcards/oslo.txt"] = "Cold!\n", ["postcards/bari.txt"] = "Hot!\n" },
  tools = { "list_files" },
  turns = { "list the files in the postcard folder" },
  check = expect.answer { "riga", "oslo", "bari" },
  replies = {
    { "list_files", { path = "postcard" } }, { "list_files", { path = "postcards" } }, "bari.txt, oslo.txt and riga.txt.",
  },
}
