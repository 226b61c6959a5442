local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["trips/2021.txt"] = "Porto by train\n",
    ["trips/2023.txt"] = "Bergen by ferry\n",
    ["ideas.txt"] = "buy a ferry model\n",
  },
  tools = { "search_files", "list_files" },
  turns = { "Search trips for ferry. Where did we go?" },
  check = expect.answer { "Bergen", expect.none { "Porto" } },
  replies = { { "search_files", { query = "ferry", path = "trips" } }, "You went to Bergen." },
}
