local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file", "list_files" },
  turns = { "put these in tram/stops.txt, one per line: Harle, Minto, Quay Street, Old Dye Works" },
  check = expect.file("tram/stops.txt", expect.exactly "Harle\nMinto\nQuay Street\nOld Dye Works"),
  replies = {
    { "write_file", { path = "tram/stops.txt", content = "Harle\nMinto\nQuay Street\nOld Dye Works\n" } },
    "The four stops are in tram/stops.txt.",
  },
}
