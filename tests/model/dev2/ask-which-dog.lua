local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    book_walk = kit.tool("book_walk", "Books a dog walk.",
      { { "dog", "string", "Name of the dog" }, { "hour", "integer", "Hour of the day" } },
      "    return ('%s is walked at %d'):format(args.dog, args.hour)"),
  },
  tools = { "book_walk" },
  turns = { "Book a walk at 15, please." },
  check = expect.asks("dog"),
  replies = { "Which dog is it for?" },
}
