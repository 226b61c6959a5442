local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["gates.md"] = "north gate: 8813\nsouth gate: 2094\n", ["llamas.md"] = "Pedro, Suki\n" },
  tools = { "read_file" },
  turns = { "what's the code for the south gate? look in gates.txt" },
  check = expect.answer { 2094, expect.none { 8813 } },
  replies = { { "read_file", { path = "gates.txt" } }, { "read_file", { path = "gates.md" } }, "The code is 2094." },
}
