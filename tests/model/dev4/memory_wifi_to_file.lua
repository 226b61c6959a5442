local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "The wifi at the cabin is called Moosenet", "The cabin has no oven" },
  tools = { "recall", "write_file" },
  turns = { "What's the wifi at the cabin called? Write the name in wifi.txt for the guests." },
  check = expect.file("wifi.txt", "Moosenet"),
  replies = {
    { "recall", { query = "wifi cabin" } }, { "write_file", { path = "wifi.txt", content = "Moosenet\n" } },
    "It is called Moosenet, and it is in wifi.txt.",
  },
}
