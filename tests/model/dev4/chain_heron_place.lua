local expect = require "hearth.expect"

return {
  kind = "chain",
  files = {
    ["sightings/0311.txt"] = "bird: kestrel\ncount: 1\nplace: Tipping Lane\n",
    ["sightings/0318.txt"] = "bird: heron\ncount: 2\nplace: Mossbank weir\n",
    ["sightings/0402.txt"] = "bird: wren\ncount: 6\nplace: churchyard\n",
  },
  tools = { "search_files", "read_file" },
  turns = { "find the file with the heron in it and tell me the place" },
  check = expect.answer { "Mossbank", expect.none { "Tipping", "churchyard" } },
  replies = {
    { "search_files", { query = "heron" } }, { "read_file", { path = "sightings/0318.txt" } }, "The place is Mossbank weir.",
  },
}
