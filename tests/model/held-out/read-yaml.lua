local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["deploy.yml"] = "service: ledger\nreplicas: 9\nimage: ledger:4.2.1\ntimeout: 45s\n" },
  tools = { "read_file", "write_file" },
  turns = { "How many replicas does deploy.yml ask for?" },
  check = expect.all { expect.answer(expect.any { 9, "nine" }), expect.only_files { "deploy.yml" } },
  replies = { { "read_file", { path = "deploy.yml" } }, "It asks for 9 replicas." },
}
