local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["fair/tickets.csv"] = "day;stand;sold\nFri;ghost train;131\nFri;hoopla;58\nSat;ghost train;240\nSat;hoopla;97\n" },
  tools = { "csv_query", "calculate" },
  turns = { "Add up everything in the sold column of fair/tickets.csv" },
  check = expect.answer(526),
  replies = { { "csv_query", { path = "fair/tickets.csv", column = "sold", operation = "sum" } }, "526 tickets were sold." },
}
