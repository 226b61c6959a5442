local expect = require "hearth.expect"

return {
  kind = "dates",
  tools = { "now", "write_file" },
  turns = { "Write today's date to started.txt." },
  check = expect.all {
    expect.called("now"),
    function(run)
      return expect.file("started.txt", expect.any { os.date("%Y-%m-%d"), { os.date("%B"), tonumber(os.date("%Y")) } })(run)
    end,
  },
  replies = { { "now", {} }, { "write_file", { path = "started.txt", content = os.date("%Y-%m-%d") } }, "Done." },
}
