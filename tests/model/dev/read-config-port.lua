local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["server.conf"] = "# web server\nhost = 10.2.0.14\nport = 8473\nworkers = 6\nlog = quiet\n" },
  tools = { "read_file", "list_files", "calculate" },
  turns = { "Which port does the server in server.conf listen on?" },
  check = expect.all { expect.answer(8473), expect.called("read_file") },
  replies = { { "read_file", { path = "server.conf" } }, "It listens on port 8473." },
}
