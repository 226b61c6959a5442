local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["kettle.txt"] = "boil 3 litres\n", ["saddle.csv"] = "size,price\n17,240\n", ["orchid.md"] = "water on Fridays\n" },
  tools = { "list_files", "read_file" },
  turns = { "Which files do I have here?" },
  check = expect.answer { "kettle", "saddle", "orchid" },
  replies = { { "list_files", {} }, "You have kettle.txt, saddle.csv and orchid.md." },
}
