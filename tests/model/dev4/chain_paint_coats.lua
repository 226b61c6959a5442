local expect = require "hearth.expect"

return {
  kind = "chain",
  files = { ["paint.txt"] = "colour: marsh green\nlitres per coat: 4.6\ndrying time: 5 hours\n" },
  tools = { "read_file", "calculate" },
  turns = { "paint.txt says how many litres one coat takes. How much do I need for 3 coats?" },
  check = expect.answer(13.8),
  replies = { { "read_file", { path = "paint.txt" } }, { "calculate", { expression = "4.6 * 3" } }, "You need 13.8 litres." },
}
