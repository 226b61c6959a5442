local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["till.txt"] = "stamps 6.80\nenvelopes 4.25\ntape 3.15\n" },
  tools = { "read_file", "calculate", "write_file" },
  turns = { "I paid for everything in till.txt with a 20. Write my change to change.txt." },
  check = expect.file("change.txt", 5.8),
  replies = {
    { "read_file", { path = "till.txt" } },
    { "calculate", { expression = "20-(6.80+4.25+3.15)" } },
    { "write_file", { path = "change.txt", content = "5.80" } },
    "Your change is 5.80.",
  },
}
