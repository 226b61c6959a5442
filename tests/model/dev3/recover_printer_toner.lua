local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  own_tools = {
    print_page = kit.tool("print_page", "Print a page.", { { "page", "integer", "Number of the page" } },
      [[return nil, "the printer is out of toner"]]),
  },
  tools = { "print_page" },
  turns = { "Please print page 31 for me. If it fails, tell me why." },
  check = expect.answer("toner"),
  replies = { { "print_page", { page = 31 } }, "It was not printed: the printer is out of toner." },
}
