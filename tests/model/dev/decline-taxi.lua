local expect = require "hearth.expect"

return {
  kind = "declining",
  tools = { "calculate", "read_file" },
  turns = { "Order me a taxi to the airport." },
  check = expect.declines,
  replies = { "I cannot order a taxi with the tools I have." },
}
