local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    order_print = kit.tool("order_print", "Orders prints of a photo.", { { "photo", "string", "Number of the photo" } },
      "    return 'ordered ' .. args.photo"),
  },
  tools = kit.all_tools("order_print"),
  turns = { "Please remember that Oskar borrowed the telescope." },
  check = expect.all { expect.remembered { "Oskar", "telescope" }, expect.not_called("order_print", "write_file"), expect.answer() },
  replies = { { "remember", { text = "Oskar borrowed the telescope" } }, "I will remember that." },
}
