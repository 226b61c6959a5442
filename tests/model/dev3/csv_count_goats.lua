local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["farm.csv"] = "name,animal\nPip,goat\nDora,sheep\nFlint,goat\nMoss,goat\nBell,sheep\n" },
  tools = { "csv_query", "search_files" },
  turns = { "How many rows of farm.csv have goat as the animal?" },
  check = expect.answer(expect.any { 3, "three" }),
  replies = {
    { "csv_query", { path = "farm.csv", column = "animal", operation = "count", where = "animal = goat" } },
    "There are 3 rows with a goat.",
  },
}
