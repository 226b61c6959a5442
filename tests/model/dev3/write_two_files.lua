local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file" },
  turns = { "Write turnips to field1.txt and flax to field2.txt." },
  check = expect.all {
    expect.file("field1.txt", { "turnips", expect.none { "flax" } }), expect.file("field2.txt", { "flax", expect.none { "turnips" } }),
    expect.answer(),
  },
  replies = {
    { "write_file", { path = "field1.txt", content = "turnips" } }, { "write_file", { path = "field2.txt", content = "flax" } },
    "Both files are written.",
  },
}
