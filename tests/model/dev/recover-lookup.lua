local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recovery",
  own_tools = {
    get_tide = kit.lookup("get_tide", "Time of the next high tide at a harbour.", { "harbour", "string", "Name of the harbour" },
      { ["Port Ellen"] = "high tide at 14:20", ["Tarbert"] = "high tide at 16:05" }),
  },
  tools = { "get_tide" },
  turns = { "When is high tide at Ellen?" },
  check = expect.all { expect.answer("14:20"), expect.called("get_tide", { harbour = "Port Ellen" }) },
  replies = {
    { "get_tide", { harbour = "Ellen" } },
    { "get_tide", { harbour = "Port Ellen" } },
    "High tide is at 14:20.",
  },
}
