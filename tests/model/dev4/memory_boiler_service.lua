local expect = require "hearth.expect"

return {
  kind = "memory",
  files = { ["boiler.txt"] = "model: Hestia 20\nfitter: Ewan Tarbuck\npressure: 1.4 bar\n" },
  tools = { "read_file", "remember", "recall" },
  turns = { "Read boiler.txt and remember who the fitter is", { say = "who is the fitter of our boiler?", new = true } },
  check = expect.all { expect.remembered "Tarbuck", expect.answer "Tarbuck" },
  replies = {
    { "read_file", { path = "boiler.txt" } }, { "remember", { text = "The fitter of the boiler is Ewan Tarbuck" } },
    "I will remember that it is Ewan Tarbuck.", { "recall", { query = "boiler fitter" } }, "Ewan Tarbuck.",
  },
}
