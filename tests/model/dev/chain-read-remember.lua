local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["contract.txt"] = "tenant: Bea Lindqvist\nrent: 910\nends: 31 May 2028\n" },
  tools = { "read_file", "remember" },
  turns = { "read contract.txt and remember when it ends" },
  check = expect.all { expect.remembered { "31 May", "2028" }, expect.answer() },
  replies = {
    { "read_file", { path = "contract.txt" } },
    { "remember", { text = "the contract ends on 31 May 2028" } },
    "I will remember that the contract ends on 31 May 2028.",
  },
}
