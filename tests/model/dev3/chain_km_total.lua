local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["bike.txt"] = "Monday: 43 km\nTuesday: 58 km\nWednesday: 36 km\n" },
  tools = { "read_file", "calculate", "write_file" },
  turns = { "add up the km in bike.txt and write the total to total.txt" },
  check = expect.all { expect.file("total.txt", 137), expect.answer() },
  replies = {
    { "read_file", { path = "bike.txt" } }, { "calculate", { expression = "43 + 58 + 36" } },
    { "write_file", { path = "total.txt", content = "137 km" } }, "The total of 137 km is in total.txt.",
  },
}
