local expect = require "hearth.expect"

return {
  kind = "chains",
  files = { ["orders.csv"] = "id,country,value\n1,PT,40\n2,ES,25\n3,PT,15.5\n4,FR,70\n" },
  tools = { "csv_query", "write_file" },
  turns = { "Sum the value of the orders from PT in orders.csv and write it to pt.txt" },
  check = expect.all { expect.file("pt.txt", 55.5), expect.answer() },
  replies = {
    { "csv_query", { path = "orders.csv", column = "value", operation = "sum", where = "country = PT" } },
    { "write_file", { path = "pt.txt", content = "55.5" } },
    "55.5, saved in pt.txt.",
  },
}
