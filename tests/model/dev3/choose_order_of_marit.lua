local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    order_of = kit.lookup("order_of", "Get what a customer has ordered.", { "customer", "string", "Name of the customer" },
      { Marit = "a walnut desk", Osman = "a cane chair", Greta = "a blue sofa" }),
    address_of = kit.lookup("address_of", "Get the address of a customer.", { "customer", "string", "Name of the customer" },
      { Marit = "Quay 4", Osman = "Mill Road 9", Greta = "Station Square 2" }),
  },
  tools = kit.all_tools("address_of", "order_of"),
  turns = { "Do you know what Marit ordered from us?" },
  check = expect.answer { "walnut", "desk" },
  replies = { { "order_of", { customer = "Marit" } }, "Marit ordered a walnut desk." },
}
