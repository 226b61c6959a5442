local expect = require "hearth.expect"

return {
  kind = "chain",
  files = {
    ["jobs/a.txt"] = "job: roof\nworker: Pascoe\nprice: 610\n",
    ["jobs/b.txt"] = "job: boiler\nworker: Lindqvist\nprice: 285\n",
    ["jobs/c.txt"] = "job: floor\nworker: Amara\nprice: 940\n",
  },
  tools = { "search_files", "read_file" },
  turns = { "One of my files is about the boiler. Find it and tell me what worker it names." },
  check = expect.answer("Lindqvist"),
  replies = {
    { "search_files", { query = "boiler" } }, { "read_file", { path = "jobs/b.txt" } }, "The worker is Lindqvist.",
  },
}
