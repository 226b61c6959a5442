local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "the order number of the sofa is S-7702" },
  tools = { "recall", "write_file" },
  turns = { "Which order number does the sofa have? Look it up in the memory and save it in sofa.txt." },
  check = expect.all { expect.called("recall"), expect.file("sofa.txt", "S-7702"), expect.answer() },
  replies = {
    { "recall", { query = "order number sofa" } },
    { "write_file", { path = "sofa.txt", content = "S-7702" } },
    "It is S-7702, saved in sofa.txt.",
  },
}
