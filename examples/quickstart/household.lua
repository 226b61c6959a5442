-- The same agent on another folder: what do the bills come to?
local hearth = require "hearth"

local agent = hearth.agent {
  name = "household",
  workspace = hearth.fresh_workspace "household",
  tools = { "read_file", "calculate", "write_file" },
  policy = { write_file = "allow" },
}
local r = agent:run("sum the numbers in bills.txt")
if not r.answer:find("942.4", 1, true) then error("expected 942.4 in: " .. r.answer) end
