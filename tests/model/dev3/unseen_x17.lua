local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    x17_query = kit.tool("x17_query", "Ask machine X17 for its pressure or its speed.", {
      { "reading", "string", "What to ask for", enum = { "pressure", "speed" } } },
      [[return ({ pressure = "6.8 bar", speed = "1430 turns" })[args.reading] ]]),
  },
  tools = { "x17_query", "read_file" },
  turns = { "The foreman wants to know the pressure of machine X17." },
  check = expect.answer(6.8),
  replies = { { "x17_query", { reading = "pressure" } }, "The pressure is 6.8 bar." },
}
