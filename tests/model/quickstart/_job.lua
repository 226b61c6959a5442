--- The quickstart's job with a file, words and numbers of one's own: read and add up, save, remember, and recall in a later run.
local expect = require "hearth.expect"

return function(o)
  return {
    kind = "quickstart",
    files = { [o.file] = o.text },
    tools = { "read_file", "calculate", "write_file", "remember", "recall" },
    turns = {
      o.sum,
      ('save "The total is %s." in %s'):format(o.total, o.report),
      ("remember that the total is %s"):format(o.total),
      { say = "what is the total?", new = true },
    },
    check = expect.all {
      expect.turn(1, tonumber(o.total)), expect.file(o.report, tonumber(o.total)), expect.remembered(tonumber(o.total)),
      expect.answer(tonumber(o.total)),
    },
    replies = {
      { "read_file", { path = o.file } },
      { "calculate", { expression = o.expression } },
      ("The total is %s."):format(o.total),
      { "write_file", { path = o.report, content = ("The total is %s."):format(o.total) } },
      "I wrote it.",
      { "remember", { text = "the total is " .. o.total } },
      "I will remember it.",
      { "recall", { query = "total" } },
      ("The total is %s."):format(o.total),
    },
  }
end
