local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    print_label = kit.tool("print_label", "Print a label on the label printer.", { { "text", "string", "The label" } }, "    return 'printed'"),
  },
  tools = kit.all_tools("print_label"),
  turns = { "Make a file named shelf.txt with the text: jars and lids" },
  check = expect.all { expect.file("shelf.txt", "jars and lids"), expect.not_called("print_label"), expect.answer() },
  replies = { { "write_file", { path = "shelf.txt", content = "jars and lids" } }, "shelf.txt is written." },
}
