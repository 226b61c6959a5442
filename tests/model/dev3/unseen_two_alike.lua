local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  own_tools = {
    fen_depth = kit.lookup("fen_depth", "Get the depth of a fen in centimetres.", { "fen", "string", "Name of the fen" },
      { Hollowmere = "214", Reedwick = "137" }),
    fen_warden = kit.lookup("fen_warden", "Get the warden of a fen.", { "fen", "string", "Name of the fen" },
      { Hollowmere = "Sabine Orr", Reedwick = "Jakob Tull" }),
  },
  tools = { "fen_depth", "fen_warden" },
  turns = { "who is the warden of Reedwick fen?" },
  check = expect.answer(expect.any { "Jakob", "Tull" }),
  replies = { { "fen_warden", { fen = "Reedwick" } }, "The warden is Jakob Tull." },
}
