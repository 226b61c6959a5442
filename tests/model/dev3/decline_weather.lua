local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "decline",
  own_tools = {
    water_level = kit.tool("water_level", "Get the water level of a river.", { { "river", "string", "Name of the river" } },
      [[return "3.1 m"]]),
  },
  tools = { "water_level", "read_file", "calculate" },
  turns = { "we want to have a picnic in Turku tomorrow. will it rain there?" },
  check = expect.declines,
  replies = { "I can't look up the weather." },
}
