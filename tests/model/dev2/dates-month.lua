local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "read_file", "list_files" },
  turns = { "Remind me what month it is." },
  check = expect.all {
    expect.called("now"),
    expect.answer(expect.any { os.date("%B"), os.date("%Y-%m"), os.date("%Y-%m-%d") }),
  },
  replies = { { "now", {} }, "It is " .. os.date("%B") .. "." },
}
