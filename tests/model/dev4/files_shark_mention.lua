local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["dives/april.txt"] = "Saw two rays and a turtle.\n",
    ["dives/june.txt"] = "Poor sight. One wobbegong under the ledge.\n",
    ["dives/july.txt"] = "Only kelp today.\n",
  },
  tools = { "search_files", "list_files" },
  turns = { "Which of my files talks about a wobbegong?" },
  check = expect.answer { "june", expect.none { "april", "july" } },
  replies = { { "search_files", { query = "wobbegong" } }, "It is in dives/june.txt." },
}
