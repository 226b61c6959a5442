-- An agent with a tool of one's own, from the folder examples/tools.
local hearth = require "hearth"

local agent = hearth.agent {
  name = "own_tool",
  tool_dirs = { "tools" },
  tools = { "count_words" },
}
local r = agent:run('how many words are in "the quick brown fox"')
if not r.answer:find("4", 1, true) then error("expected 4 in: " .. r.answer) end
