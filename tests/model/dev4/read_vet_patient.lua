local expect = require "hearth.expect"

return {
  kind = "read",
  files = {
    ["patients.txt"] = "name: Biscuit\nanimal: beagle\nweight: 12.4 kg\n\nname: Pickle\nanimal: hamster\nweight: 112 g\n\n"
      .. "name: Duchess\nanimal: cat\nweight: 4.1 kg\n\nname: Mr Flap\nanimal: parrot\nweight: 390 g\n",
  },
  tools = { "read_file", "search_files" },
  turns = { "How heavy is Pickle? The vet wrote it in patients.txt" },
  check = expect.answer { 112, expect.none { 390, 12.4, 4.1 } },
  replies = { { "read_file", { path = "patients.txt" } }, "Pickle weighs 112 g." },
}
