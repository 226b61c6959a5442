local expect = require "hearth.expect"

return {
  kind = "compute and write",
  tools = { "calculate", "write_file" },
  turns = { "Hives gave 18.5, 22 and 9.75 kg of honey. Write the total to honey.txt." },
  check = expect.file("honey.txt", 50.25),
  replies = {
    { "calculate", { expression = "18.5+22+9.75" } },
    { "write_file", { path = "honey.txt", content = "50.25 kg" } },
    "50.25 kg in all.",
  },
}
