local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["guest.txt"] = "network: Birdhouse\npassword: plum-kettle-52\nprinter: second floor\n" },
  tools = { "read_file" },
  turns = { "What is the password in guest.txt?" },
  check = expect.all { expect.answer("plum-kettle-52"), expect.short(20), expect.called("read_file", { path = "guest.txt" }) },
  replies = { { "read_file", { path = "guest.txt" } }, "The password is plum-kettle-52." },
}
