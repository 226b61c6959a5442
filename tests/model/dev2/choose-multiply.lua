local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    book_court = kit.tool("book_court", "Books a squash court.", { { "hour", "integer", "Hour of the day" } },
      "    return ('court booked at %d'):format(args.hour)"),
  },
  tools = kit.all_tools("book_court"),
  turns = { "what's 68 times 47?" },
  check = expect.all { expect.answer(3196), expect.not_called("book_court", "write_file", "remember") },
  replies = { { "calculate", { expression = "68*47" } }, "68 times 47 is 3196." },
}
