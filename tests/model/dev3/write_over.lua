local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["host.txt"] = "host: Winifred\n" },
  tools = { "write_file", "read_file" },
  turns = { "The host has changed. Replace what is in host.txt by this: host: Balthasar" },
  check = expect.all { expect.file("host.txt", { "Balthasar", expect.none { "Winifred" } }), expect.answer() },
  replies = { { "write_file", { path = "host.txt", content = "host: Balthasar\n" } }, "The host is Balthasar now." },
}
