local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "ask",
  tools = { "rename_boat", "list_files" },
  own_tools = {
    rename_boat = kit.tool("rename_boat", "Give a boat a new name.", {
      { "old_name", "string", "The name that it has" }, { "new_name", "string", "The name that it gets" },
    }, [[    return "renamed"]]),
  },
  turns = { "we want another name for the boat Gertrude, change it" },
  check = expect.asks(expect.any { "new", "name", "what", "which" }),
  replies = { "What is the new name?" },
}
