local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["donations.txt"] = "Mrs Pell: 40\nanonymous: 125\nscouts: 63\nMr Adeyemi: 20\nchoir: 87\n" },
  tools = { "read_file", "calculate", "write_file" },
  turns = { "Add up donations.txt and put the total into raised.txt." },
  check = expect.file("raised.txt", 335),
  replies = {
    { "read_file", { path = "donations.txt" } },
    { "calculate", { expression = "40+125+63+20+87" } },
    { "write_file", { path = "raised.txt", content = "335" } },
    "335 were raised.",
  },
}
