local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["river.log"] = "Tuesday 1.8 m\nWednesday 2.3 m\nThursday 3.1 m\nFriday 2.6 m\n" },
  tools = { "read_file" },
  turns = { "which day was the river highest? numbers are in river.log" },
  check = expect.answer { "Thursday", expect.none { "Tuesday", "Wednesday", "Friday" } },
  replies = { { "read_file", { path = "river.log" } }, "It was highest on Thursday." },
}
