local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  files = { ["seating.txt"] = "table 1: Yusuf, Clara\ntable 2: Benno, Ida\n" },
  own_tools = {
    find_cousin = kit.lookup("find_cousin", "Says whose cousin a person is.", { "person", "string", "Name of the person" },
      { ["Ida"] = "cousin of Clara", ["Yusuf"] = "cousin of Benno" }),
  },
  tools = kit.all_tools("find_cousin"),
  turns = { "Look into seating.txt: who sits with Ida?" },
  check = expect.answer { "Benno", expect.none { "Clara", "Yusuf" } },
  replies = { { "read_file", { path = "seating.txt" } }, "Ida sits with Benno." },
}
