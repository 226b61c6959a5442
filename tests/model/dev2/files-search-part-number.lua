local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["shelf-a.txt"] = "QX-118 gasket\nQX-204 spring\n",
    ["shelf-b.txt"] = "QX-377 valve\nQX-391 washer\n",
  },
  tools = { "search_files", "read_file" },
  turns = { "find QX-377 in my files and tell me what part it is" },
  check = expect.answer("valve"),
  replies = { { "search_files", { query = "QX-377" } }, "QX-377 is a valve." },
}
