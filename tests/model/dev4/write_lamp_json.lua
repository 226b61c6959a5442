local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file", "read_file" },
  turns = { 'put this into lamp.json: {"room": "attic", "level": 4}' },
  check = expect.file("lamp.json", function(text)
    return text:gsub("%s", "") == '{"room":"attic","level":4}' or nil, "it is not the JSON that was given"
  end),
  replies = { { "write_file", { path = "lamp.json", content = '{"room": "attic", "level": 4}' } }, "Done." },
}
