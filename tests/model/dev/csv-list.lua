local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["books.csv"] = "title,shelf\nDune,A\nEmma,C\nIvanhoe,A\nSolaris,B\n" },
  tools = { "csv_query", "list_files" },
  turns = { "Which titles in books.csv are on shelf A?" },
  check = expect.answer { "Dune", "Ivanhoe", expect.none { "Emma", "Solaris" } },
  replies = {
    { "csv_query", { path = "books.csv", column = "title", operation = "list", where = "shelf = A" } },
    "Dune and Ivanhoe.",
  },
}
