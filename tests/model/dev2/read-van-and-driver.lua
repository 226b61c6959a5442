local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["outing.txt"] = "Outing to the lighthouse\nVan: green Transit, seats 9\nDriver: Moses\nLeave at 7:40\n" },
  tools = { "read_file" },
  turns = { "From outing.txt: who drives, and when do we leave?" },
  check = expect.answer { "Moses", "7:40" },
  replies = { { "read_file", { path = "outing.txt" } }, "Moses drives, and you leave at 7:40." },
}
