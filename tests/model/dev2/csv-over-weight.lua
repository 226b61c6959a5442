local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["crates.csv"] = "crate,kg\nK1,18\nK2,44\nK3,29\nK4,52\nK5,36\nK6,61\n" },
  tools = { "csv_query" },
  turns = { "how many crates in crates.csv weigh more than 35 kg?" },
  check = expect.answer(expect.any { 4, "four" }),
  replies = {
    { "csv_query", { path = "crates.csv", column = "kg", operation = "count", where = "kg > 35" } },
    "4 crates weigh more than 35 kg.",
  },
}
