local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["fleet.csv"] = "van\tmileage\nred\t88120\nwhite\t45310\nblack\t132400\n" },
  tools = { "csv_query", "list_files", "write_file" },
  turns = { "which is the highest mileage in fleet.csv?" },
  check = expect.all { expect.answer(132400), expect.only_files { "fleet.csv" } },
  replies = {
    { "csv_query", { path = "fleet.csv", column = "mileage", operation = "max" } },
    "The highest mileage is 132400.",
  },
}
