local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["cards/timo.txt"] = "Timo Brandt\nborn 2019\nallergic to hazelnuts\nbus line 12\n" },
  tools = { "read_file" },
  turns = { "What is Timo allergic to? It is written in cards/timo.txt." },
  check = expect.all { expect.answer("hazelnuts"), expect.short(25) },
  replies = { { "read_file", { path = "cards/timo.txt" } }, "Timo is allergic to hazelnuts." },
}
