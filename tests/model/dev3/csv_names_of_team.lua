local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["camp.csv"] = "name,tent\nHalvard,red\nImogen,blue\nRosalba,red\nCassius,blue\n" },
  tools = { "csv_query" },
  turns = { "list the names in camp.csv where tent is blue" },
  check = expect.answer { "Imogen", "Cassius", expect.none { "Halvard", "Rosalba" } },
  replies = {
    { "csv_query", { path = "camp.csv", column = "name", operation = "list", where = "tent = blue" } }, "They are Imogen and Cassius.",
  },
}
