local expect = require "hearth.expect"

return {
  kind = "files",
  files = { ["music/harp.txt"] = "slow\n", ["music/cello.txt"] = "low\n", ["poems/rain.txt"] = "drip\n" },
  tools = { "list_files" },
  turns = { "whats in the folder music?" },
  check = expect.answer { "harp", "cello", expect.none { "rain" } },
  replies = { { "list_files", { path = "music" } }, "The folder music holds harp.txt and cello.txt." },
}
