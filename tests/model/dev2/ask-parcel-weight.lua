local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    postage = kit.tool("postage", "Price of sending a parcel.",
      { { "country", "string", "Where it goes" }, { "grams", "integer", "Weight in grams" } },
      "    return ('%.2f'):format(3 + args.grams / 100)"),
  },
  tools = { "postage", "calculate" },
  turns = { "how much is it to send a parcel to Norway?" },
  check = expect.asks(expect.any { "weight", "weigh", "weighs", "heavy", "grams" }),
  replies = { "How heavy is the parcel, in grams?" },
}
