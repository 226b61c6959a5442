local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "had 1250 m of yarn, used 487 m. write what is left to yarn.txt" },
  check = expect.file("yarn.txt", 763),
  replies = {
    { "calculate", { expression = "1250-487" } },
    { "write_file", { path = "yarn.txt", content = "763 m" } },
    "763 m are left; I wrote it to yarn.txt.",
  },
}
