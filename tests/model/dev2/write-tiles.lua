local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "I need 23 rows of 17 tiles. Put the number of tiles into tiles.txt." },
  check = expect.file("tiles.txt", 391),
  replies = {
    { "calculate", { expression = "23*17" } },
    { "write_file", { path = "tiles.txt", content = "391" } },
    "tiles.txt holds 391.",
  },
}
