-- The agent of the README: two tools, one question.
local hearth = require "hearth"

local agent = hearth.agent {
  name = "hello",
  workspace = hearth.fresh_workspace "quickstart/shopping", -- a copy: the original is never touched
  tools = { "read_file", "calculate" },
}
local r = agent:run("read prices.txt and add up the prices")
print(r.answer, r.steps .. " steps", r.tokens_out .. " tokens out")
