local expect = require "hearth.expect"

return {
  kind = "read",
  files = {
    ["oak_road.txt"] = "Flat on Oak Road\nrooms: 2\nrent: 815\nheating: gas\n",
    ["mill_lane.txt"] = "Flat on Mill Lane\nrooms: 3\nrent: 940\nheating: electric\n",
  },
  tools = { "read_file", "list_files" },
  turns = { "What's the rent in oak_road.txt and what's the rent in mill_lane.txt?" },
  check = expect.answer { 815, 940 },
  replies = {
    { { "read_file", { path = "oak_road.txt" } }, { "read_file", { path = "mill_lane.txt" } } },
    "Oak Road is 815 and Mill Lane is 940.",
  },
}
