local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    book_table = kit.tool("book_table", "Book a table at the restaurant.", {
      { "day", "string", "Day of the week" }, { "guests", "integer", "Number of guests" },
    }, [[return "booked for " .. args.guests .. " on " .. args.day]]),
  },
  tools = { "book_table" },
  turns = { "Please book us a table for Thursday." },
  check = expect.asks(expect.any { "how many", "guests", "people", "persons", "number", "party", "many" }),
  replies = { "For how many guests shall I book it?" },
}
