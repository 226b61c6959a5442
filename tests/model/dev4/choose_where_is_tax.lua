local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  files = {
    ["papers/a.txt"] = "Bill for the roof\n", ["papers/b.txt"] = "Letter from the tax office\n", ["papers/c.txt"] = "Bike insurance\n",
  },
  tools = kit.all_tools "postage",
  own_tools = {
    postage = kit.tool("postage", "Tell what it costs to post a letter.", { { "grams", "integer", "Weight in grams" } },
      [[    return args.grams > 50 and "1.80" or "0.95"]]),
  },
  turns = { "I need the letter from the tax office. Which file is it in?" },
  check = expect.answer { "b.txt", expect.none { "a.txt", "c.txt" } },
  replies = { { "search_files", { query = "tax office" } }, "It is in papers/b.txt." },
}
