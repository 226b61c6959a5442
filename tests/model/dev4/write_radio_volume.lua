local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["radio.conf"] = "station=Harbour FM\nvolume=60\nsleep=off\n" },
  tools = { "read_file", "write_file", "list_files" },
  turns = { "set the volume in radio.conf to 35" },
  check = expect.file("radio.conf", expect.exactly "station=Harbour FM\nvolume=35\nsleep=off"),
  replies = {
    { "read_file", { path = "radio.conf" } },
    { "write_file", { path = "radio.conf", content = "station=Harbour FM\nvolume=35\nsleep=off\n" } },
    "The volume is 35 now.",
  },
}
