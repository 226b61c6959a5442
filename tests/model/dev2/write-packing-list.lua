local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "write_file" },
  turns = { "Start a packing list in camp/pack.txt: stove, rope, lantern, map." },
  check = expect.file("camp/pack.txt", { "stove", "rope", "lantern", "map" }),
  replies = {
    { "write_file", { path = "camp/pack.txt", content = "stove\nrope\nlantern\nmap\n" } },
    "The list is in camp/pack.txt.",
  },
}
