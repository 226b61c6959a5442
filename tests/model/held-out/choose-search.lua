local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  files = { ["house/attic.txt"] = "two trunks\na crib\n", ["house/cellar.txt"] = "the sledge\njam\n" },
  own_tools = {
    web_search = kit.tool("web_search", "Search the internet.", { { "query", "string", "What to look for" } }, "    return 'no results'"),
  },
  tools = kit.all_tools("web_search"),
  turns = { "In which of my files does the word sledge stand?" },
  check = expect.all { expect.answer("cellar.txt"), expect.not_called("web_search") },
  replies = { { "search_files", { query = "sledge" } }, "In house/cellar.txt." },
}
