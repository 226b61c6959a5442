local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["item.json"] = '{"sku": "KX-2210", "name": "garden hose", "stock": 37, "price": 24.5}\n' },
  tools = { "read_file" },
  turns = { "read item.json and tell me how many are in stock" },
  check = expect.answer(37),
  replies = { { "read_file", { path = "item.json" } }, "There are 37 in stock." },
}
