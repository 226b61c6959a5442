local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["printer.json"] = '{\n  "name": "Ozzy",\n  "tray": "B",\n  "dpi": 600,\n  "duplex": true\n}\n' },
  tools = { "read_file", "calculate" },
  turns = { "check printer.json and tell me which tray it prints from" },
  check = expect.answer(function(text)
    return text:find "%f[%w]B%f[%W]" and true or nil, "no tray B"
  end),
  replies = { { "read_file", { path = "printer.json" } }, "It prints from tray B." },
}
