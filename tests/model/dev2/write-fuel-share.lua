local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file", "read_file" },
  turns = { "Fuel was 94.50, split among 6 people. Save each share in share.txt, please." },
  check = expect.file("share.txt", 15.75),
  replies = {
    { "calculate", { expression = "94.50/6" } },
    { "write_file", { path = "share.txt", content = "15.75" } },
    "Each pays 15.75.",
  },
}
