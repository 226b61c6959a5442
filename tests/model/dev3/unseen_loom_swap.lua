local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    loom_swap = kit.tool("loom_swap", "Swap the yarn of a loom.", {
      { "loom", "integer", "Number of the loom" }, { "yarn", "string", "Yarn to put on" },
      { "fast", "boolean", "Whether in a hurry", optional = true } }, [[return "swapped by Henrike"]]),
  },
  tools = { "loom_swap", "read_file", "write_file" },
  turns = { "Put the mohair yarn on loom 12 and tell me who swapped it." },
  check = expect.all {
    expect.called("loom_swap", { loom = 12, yarn = function(y) return y:lower():find("mohair", 1, true) end }), expect.answer("Henrike"),
  },
  replies = { { "loom_swap", { loom = 12, yarn = "mohair" } }, "Henrike swapped the yarn." },
}
