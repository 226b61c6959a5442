local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["log.txt"] = "08:01 start\n08:07 warning: disk nearly full\n08:30 backup done\n09:12 stop\n" },
  tools = { "search_files" },
  turns = { "search log.txt for the word warning and tell me at what time it came" },
  check = expect.answer("08:07"),
  replies = { { "search_files", { query = "warning", path = "log.txt" } }, "The warning came at 08:07." },
}
