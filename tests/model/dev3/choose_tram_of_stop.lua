local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  own_tools = {
    bus_at = kit.lookup("bus_at", "Get the bus line that calls at a stop.", { "stop", "string", "Name of the stop" },
      { Fennmarkt = "bus 88", Quellgasse = "bus 61" }),
    tram_at = kit.lookup("tram_at", "Get the tram line that calls at a stop.", { "stop", "string", "Name of the stop" },
      { Fennmarkt = "tram 14", Quellgasse = "tram 27" }),
    fare_at = kit.lookup("fare_at", "Get the fare zone of a stop.", { "stop", "string", "Name of the stop" },
      { Fennmarkt = "zone 3", Quellgasse = "zone 5" }),
  },
  tools = { "bus_at", "fare_at", "now", "read_file", "tram_at" },
  turns = { "A friend waits for me at Quellgasse, and I'd like to go there by tram. Which tram line is it?" },
  check = expect.answer(27),
  replies = { { "tram_at", { stop = "Quellgasse" } }, "It is tram 27." },
}
