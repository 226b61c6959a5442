local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  files = { ["jars.txt"] = "plum jam: top shelf\nquince jelly: larder\npickles: crate\n", ["wines.txt"] = "sloe: rack 4\n" },
  own_tools = {
    jam_time = kit.lookup("jam_time", "How long to boil a jam.", { "fruit", "string", "Name of the fruit" },
      { plum = "18 minutes", quince = "40 minutes" }),
  },
  tools = kit.all_tools("jam_time"),
  turns = { "Search my files for quince. Where did I put the jelly?" },
  check = expect.all { expect.answer("larder"), expect.not_called("jam_time") },
  replies = { { "search_files", { query = "quince" } }, "The quince jelly is in the larder." },
}
