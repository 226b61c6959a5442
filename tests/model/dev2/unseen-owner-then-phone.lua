local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    berth_owner = kit.lookup("berth_owner", "Who owns the boat at a berth.", { "berth", "string", "Label of the berth" },
      { ["C9"] = "Fenwick", ["D2"] = "Salazar" }),
    owner_phone = kit.lookup("owner_phone", "Telephone number of a boat owner.", { "owner", "string", "Name of the owner" },
      { Fenwick = "555 2187", Salazar = "555 9034" }),
  },
  tools = { "berth_owner", "owner_phone" },
  turns = { "What is the phone number of the owner at berth D2?" },
  check = expect.all { expect.called("owner_phone", { owner = "Salazar" }), expect.answer(9034) },
  replies = {
    { "berth_owner", { berth = "D2" } },
    { "owner_phone", { owner = "Salazar" } },
    "Salazar's number is 555 9034.",
  },
}
