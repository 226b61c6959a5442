local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["quiz.csv"] = "team,points\nOwls,34\nFoxes,41\nNewts,27\nMoles,38\n" },
  tools = { "csv_query", "write_file" },
  turns = { "average points in quiz.csv please" },
  check = expect.answer(35),
  replies = { { "csv_query", { path = "quiz.csv", column = "points", operation = "average" } }, "The average is 35 points." },
}
