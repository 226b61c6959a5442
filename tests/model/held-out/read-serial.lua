local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["boiler.md"] = "## Boiler\n\nmaker: Vaporin\nserial: VB-40-77193\nlast service: March\n" },
  tools = { "read_file", "search_files", "list_files" },
  turns = { "find the serial number in boiler.md" },
  check = expect.answer("VB-40-77193"),
  replies = { { "read_file", { path = "boiler.md" } }, "The serial number is VB-40-77193." },
}
