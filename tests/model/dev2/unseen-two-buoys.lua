local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    buoy_ping = kit.lookup("buoy_ping", "Wave height at a buoy, in metres.", { "buoy", "string", "Name of the buoy" },
      { ["Kestrel"] = "1.4 m", ["Dunlin"] = "2.9 m", ["Plover"] = "0.8 m" }),
  },
  tools = { "buoy_ping" },
  turns = { "Ping the buoys Kestrel and Dunlin. What are the wave heights?" },
  check = expect.answer { 1.4, 2.9 },
  replies = {
    { "buoy_ping", { buoy = "Kestrel" } },
    { "buoy_ping", { buoy = "Dunlin" } },
    "1.4 m at Kestrel and 2.9 m at Dunlin.",
  },
}
