local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["diary.txt"] = "May 2: planted beans\nMay 9: rain\nMay 17: the heron came back\n" },
  tools = { "search_files", "write_file" },
  turns = { "Search diary.txt for heron and save the date on which it came in heron.txt" },
  check = expect.all { expect.file("heron.txt", "May 17"), expect.answer() },
  replies = {
    { "search_files", { query = "heron", path = "diary.txt" } },
    { "write_file", { path = "heron.txt", content = "May 17" } },
    "The heron came on May 17; saved in heron.txt.",
  },
}
