local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  own_tools = {
    print_labels = kit.tool("print_labels", "Print sticky labels.", {
      { "text", "string", "Text on each label" }, { "copies", "integer", "How many labels" },
    }, [[return "printed " .. args.copies]]),
  },
  tools = { "print_labels" },
  turns = { "We are moving house. Print me labels that say Kitchen, please." },
  check = expect.asks(expect.any { "how many", "copies", "number", "many" }),
  replies = { "How many labels do you need?" },
}
