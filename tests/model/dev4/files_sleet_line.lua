local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["diary.txt"] = "Monday, sun all day\nTuesday, fog\nWednesday, fog again\nThursday, sleet and wind\nFriday, clear\n" },
  tools = { "search_files" },
  turns = { "On which line of diary.txt is the word sleet?" },
  check = expect.answer(expect.any { 4, "four", "fourth", "4th" }),
  replies = { { "search_files", { query = "sleet", path = "diary.txt" } }, "It is on line 4." },
}
