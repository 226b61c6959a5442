local expect = require "hearth.expect"

return {
  kind = "recovery",
  files = { ["sales_q2.csv"] = "shop,revenue\nnorth,3000\nsouth,1250\n" },
  tools = { "csv_query", "list_files" },
  turns = { "Sum the revenue in sales.csv. Should there be no such file, find the right one." },
  check = expect.answer(4250),
  replies = {
    { "csv_query", { path = "sales.csv", column = "revenue", operation = "sum" } },
    { "list_files", {} },
    { "csv_query", { path = "sales_q2.csv", column = "revenue", operation = "sum" } },
    "The revenue is 4250.",
  },
}
