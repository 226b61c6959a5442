local expect = require "hearth.expect"

return {
  kind = "recover",
  files = { ["house/oven.txt"] = "maker: Brandl\nfuse: 32 A\nbought: 2021\n" },
  tools = { "read_file", "search_files" },
  turns = { "open /house/oven.txt and tell me the fuse" },
  check = expect.answer(32),
  replies = { { "read_file", { path = "/house/oven.txt" } }, { "read_file", { path = "house/oven.txt" } }, "The fuse is 32 A." },
}
