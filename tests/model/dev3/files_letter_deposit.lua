local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "files",
  files = {
    ["letters/march.txt"] = "Dear landlord,\nthe heating is broken.\n",
    ["letters/april.txt"] = "Dear landlord,\nplease pay back the deposit.\n",
    ["letters/may.txt"] = "Dear landlord,\nthanks for the new door.\n",
  },
  tools = kit.shipped,
  turns = { "Somewhere in the folder letters I wrote about the deposit. Which letter was it?" },
  check = expect.answer { "april", expect.none { "march" } },
  replies = { { "search_files", { query = "deposit", path = "letters" } }, "It was the letter april.txt." },
}
