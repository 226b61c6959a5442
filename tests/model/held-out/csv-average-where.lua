local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["exam.csv"] = "pupil,class,points\nAnouk,7a,58\nBoris,7b,71\nCarla,7a,66\nDevi,7b,49\nEnzo,7a,80\n" },
  tools = { "csv_query", "calculate" },
  turns = { "Work out the average points of class 7a from exam.csv." },
  check = expect.answer(68),
  replies = {
    { "csv_query", { path = "exam.csv", column = "points", operation = "average", where = "class = 7a" } },
    "The average of class 7a is 68.",
  },
}
