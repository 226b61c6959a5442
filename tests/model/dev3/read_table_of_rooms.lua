local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["rooms.txt"] = "Monday: Birch room\nTuesday: Hazel room\nThursday: Juniper room\n" },
  tools = { "read_file", "search_files" },
  turns = { "rooms.txt has the rooms of our choir. Which one is it on Thursday?" },
  check = expect.answer { "Juniper", expect.none { "Birch", "Hazel" } },
  replies = { { "read_file", { path = "rooms.txt" } }, "On Thursday it is the Juniper room." },
}
