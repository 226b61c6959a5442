local expect = require "hearth.expect"

return {
  kind = "write",
  files = { ["sign.txt"] = "Welcom to the Tern Museum\nOpen 10 to 4\nNo dogs\n" },
  tools = { "read_file", "write_file" },
  turns = { "there's a typo in sign.txt, it says Welcom instead of Welcome. fix it" },
  check = expect.file("sign.txt", expect.exactly "Welcome to the Tern Museum\nOpen 10 to 4\nNo dogs"),
  replies = {
    { "read_file", { path = "sign.txt" } },
    { "write_file", { path = "sign.txt", content = "Welcome to the Tern Museum\nOpen 10 to 4\nNo dogs\n" } },
    "I fixed the typo.",
  },
}
