local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "radio call sign is M7QRV", "the antenna is 9 metres high", "club night is Wednesday" },
  tools = { "recall", "read_file", "now" },
  turns = { "i forgot my radio call sign, what was it?" },
  check = expect.all { expect.called("recall"), expect.answer("M7QRV") },
  replies = { { "recall", { query = "radio call sign" } }, "Your call sign is M7QRV." },
}
