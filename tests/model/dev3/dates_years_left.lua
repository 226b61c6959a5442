local expect = require "hearth.expect"
local today = require "_today"

return {
  kind = "dates",
  tools = { "now", "calculate", "read_file" },
  turns = { "The loan ends in 2071. How many years is that from this year?" },
  check = today.answer(function(day) return 2071 - day.year end),
  replies = {
    { "now", {} }, { "calculate", { expression = "2071 - " .. os.date("%Y") } },
    ("It is %d years from now."):format(2071 - tonumber(os.date("%Y"))),
  },
}
