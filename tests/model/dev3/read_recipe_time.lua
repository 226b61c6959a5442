local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "read",
  files = { ["stew.txt"] = "Cut the leeks.\nAdd 450 g of barley.\nCook for 65 minutes.\nServe with dill.\n" },
  tools = kit.shipped,
  turns = { "I'm about to cook. For how many minutes must it cook according to stew.txt?" },
  check = expect.answer(65),
  replies = { { "read_file", { path = "stew.txt" } }, "It must cook for 65 minutes." },
}
