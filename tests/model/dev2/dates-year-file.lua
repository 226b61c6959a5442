local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "write_file" },
  turns = { "Put the current year into year.txt." },
  check = expect.all { expect.called("now"), expect.file("year.txt", os.date("%Y")) },
  replies = { { "now", {} }, { "write_file", { path = "year.txt", content = os.date("%Y") } }, "Done." },
}
