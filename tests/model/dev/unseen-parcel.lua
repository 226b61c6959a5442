local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    zq_track = kit.lookup("zq_track", "Find out where a parcel is.", { "parcel_id", "string", "Number of the parcel" },
      { ["PX-99120"] = "at the depot in Graz", ["PX-30001"] = "delivered" }),
    zq_weigh = kit.tool("zq_weigh", "Weigh a parcel.", { { "parcel_id", "string", "Number of the parcel" } }, "    return '2.1 kg'"),
  },
  tools = { "zq_track", "zq_weigh" },
  turns = { "Where is the parcel PX-99120?" },
  check = expect.all { expect.called("zq_track", { parcel_id = "PX-99120" }), expect.answer("Graz"), expect.not_called("zq_weigh") },
  replies = { { "zq_track", { parcel_id = "PX-99120" } }, "It is at the depot in Graz." },
}
