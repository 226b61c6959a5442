local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "A square plot has 1764 square metres. Work out one side and note it in plot.txt." },
  check = expect.file("plot.txt", 42),
  replies = {
    { "calculate", { expression = "sqrt(1764)" } },
    { "write_file", { path = "plot.txt", content = "One side: 42 m" } },
    "One side is 42 m.",
  },
}
