local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["plan.txt"] = "Brochure\ndeadline: 9 May\nprinter: Abel\n",
    ["notes.txt"] = "call Abel about paper\n",
  },
  tools = { "search_files", "now" },
  turns = { "search my files for the word deadline, when is it?" },
  check = expect.answer(expect.any { "9 May", "May 9", "May 9th", "9th of May" }),
  replies = { { "search_files", { query = "deadline" } }, "The deadline is 9 May." },
}
