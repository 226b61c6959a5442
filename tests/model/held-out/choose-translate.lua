local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    translate_word = kit.lookup("translate_word", "Translate an English word into Basque.", { "word", "string", "The word" },
      { bread = "ogia", sea = "itsasoa", moon = "ilargia" }),
  },
  tools = kit.all_tools("translate_word"),
  turns = { "Translate the word moon into Basque" },
  check = expect.all { expect.called("translate_word", { word = "moon" }), expect.answer("ilargia") },
  replies = { { "translate_word", { word = "moon" } }, "It is ilargia." },
}
