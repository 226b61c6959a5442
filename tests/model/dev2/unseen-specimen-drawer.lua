local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    spec_id = kit.lookup("spec_id", "Catalogue number of a beetle.", { "beetle", "string", "Common name of the beetle" },
      { ["rose chafer"] = "BX-70", ["stag beetle"] = "BX-12" }),
    drawer_of = kit.lookup("drawer_of", "The drawer that holds a catalogue number.",
      { "catalogue_number", "string", "Such as BX-01" }, { ["BX-70"] = "drawer 33", ["BX-12"] = "drawer 8" }),
  },
  tools = { "spec_id", "drawer_of" },
  turns = { "in which drawer is the rose chafer?" },
  check = expect.all { expect.called("drawer_of", { catalogue_number = "BX-70" }), expect.answer(33) },
  replies = {
    { "spec_id", { beetle = "rose chafer" } },
    { "drawer_of", { catalogue_number = "BX-70" } },
    "The rose chafer is in drawer 33.",
  },
}
