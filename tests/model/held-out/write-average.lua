local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file", "read_file" },
  turns = { "Save the average of 61, 74 and 90 in mean.txt" },
  check = expect.all { expect.file("mean.txt", 75), expect.called("write_file"), expect.answer() },
  replies = {
    { "calculate", { expression = "average(61, 74, 90)" } },
    { "write_file", { path = "mean.txt", content = "75" } },
    "The average, 75, is in mean.txt.",
  },
}
