local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen",
  tools = { "fettle_check" },
  own_tools = {
    fettle_check = kit.tool("fettle_check", "Check in what fettle a part of the loom is.", {
      { "part", "string", "Part of the loom", enum = { "warp", "shuttle", "treadle" } },
    }, [[    return ({ warp = "frayed", shuttle = "cracked", treadle = "squeaky" })[args.part] ]]),
  },
  turns = { "check the fettle of the treadle" },
  check = expect.answer { "squeaky", expect.none { "frayed", "cracked" } },
  replies = { { "fettle_check", { part = "treadle" } }, "The treadle is squeaky." },
}
