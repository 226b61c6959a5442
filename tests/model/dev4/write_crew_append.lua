local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["crew.txt"] = "Hanne\nJoost\nBirgit\n" },
  tools = { "read_file", "write_file" },
  turns = { "Add Rolf at the end of crew.txt please" },
  check = expect.file("crew.txt", expect.exactly "Hanne\nJoost\nBirgit\nRolf"),
  replies = {
    { "read_file", { path = "crew.txt" } },
    { "write_file", { path = "crew.txt", content = "Hanne\nJoost\nBirgit\nRolf\n" } },
    "Rolf is on the list.",
  },
}
