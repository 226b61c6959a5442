local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["fuel.txt"] = "litres: 45\nprice per litre: 1.80\n" },
  tools = { "read_file", "calculate", "remember" },
  turns = { "read fuel.txt, work out what the fuel costs in all, and remember the result" },
  check = expect.all { expect.remembered(81), expect.answer() },
  replies = {
    { "read_file", { path = "fuel.txt" } },
    { "calculate", { expression = "45 * 1.80" } },
    { "remember", { text = "the fuel costs 81 in all" } },
    "The fuel costs 81 in all.",
  },
}
