local expect = require "hearth.expect"

return {
  kind = "csv",
  files = {
    ["boats.csv"] = "boat,harbour,length\nSkua,Tolk,9.2\nMarigold,Vane,14.8\nPuffer,Tolk,11.6\nErna,Vane,7.5\nTwo Sisters,Tolk,10.1\n",
  },
  tools = { "csv_query", "list_files" },
  turns = { "How long is the longest boat in Tolk harbour? The list is boats.csv" },
  check = expect.answer { 11.6, expect.none { 14.8 } },
  replies = {
    { "csv_query", { path = "boats.csv", column = "length", operation = "max", where = "harbour = Tolk" } },
    "The longest boat in Tolk is 11.6 long.",
  },
}
