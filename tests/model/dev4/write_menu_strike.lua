local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["menu.txt"] = "leek soup\nfried squid\npear tart\n" },
  tools = { "read_file", "write_file" },
  turns = { "We ran out of squid. Take fried squid off menu.txt and leave the rest." },
  check = expect.file("menu.txt", expect.exactly "leek soup\npear tart"),
  replies = {
    { "read_file", { path = "menu.txt" } },
    { "write_file", { path = "menu.txt", content = "leek soup\npear tart\n" } },
    "Fried squid is off the menu.",
  },
}
