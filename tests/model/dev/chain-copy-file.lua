local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["draft.txt"] = "Dear Mr. Okafor, the parcel has arrived.\n" },
  tools = { "read_file", "write_file", "list_files" },
  turns = { "copy the text of draft.txt into final.txt" },
  check = expect.all {
    expect.file("final.txt", expect.exactly "Dear Mr. Okafor, the parcel has arrived."), expect.file("draft.txt"), expect.answer(),
  },
  replies = {
    { "read_file", { path = "draft.txt" } },
    { "write_file", { path = "final.txt", content = "Dear Mr. Okafor, the parcel has arrived.\n" } },
    "The text is in final.txt.",
  },
}
