local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["docs/lease.txt"] = "deposit: 1350\nnotice: 3 months\n", ["docs/pets.txt"] = "no parrots\n" },
  tools = { "list_files", "read_file" },
  turns = { "list the folder docs, then read the lease in it: how high is the deposit?" },
  check = expect.all { expect.called("list_files"), expect.answer(1350) },
  replies = {
    { "list_files", { path = "docs" } },
    { "read_file", { path = "docs/lease.txt" } },
    "The deposit is 1350.",
  },
}
