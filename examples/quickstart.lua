-- The main job, end to end, on the built-in model: an agent reads a file, computes, writes a result, remembers it, and in a
-- later run recalls it.
--
--   hearth run examples/quickstart.lua            works through the shopping list
--   hearth run examples/quickstart.lua recall     a new conversation over the same store
local hearth = require "hearth"

-- Each run works on its own copy of the folder.
local workspace = hearth.fresh_workspace "quickstart/shopping"
local agent = hearth.agent {
  name = "quickstart",
  workspace = workspace,
  tools = { "read_file", "calculate", "write_file", "remember", "recall" },
  policy = { write_file = "allow" }, -- it may write into its workspace without asking
}

if arg[1] == "recall" then
  agent:run("what is the total?")
  return
end

print("workspace: " .. workspace)
local sum = agent:run("read prices.txt and add up the prices")

-- A script is free to use what an answer holds in the next request.
local total = sum.answer:match("%d+%.?%d*")
if not total then error("the answer holds no number: " .. sum.answer) end
agent:run(('save "The total is %s." in report.txt'):format(total))
agent:run(("remember that the total is %s"):format(total))

-- What the agent wrote, read back through the same tool, without the model.
local written, why = agent:call("read_file", { path = "report.txt" })
print("report.txt: " .. (written or why))
if not (written or ""):find(total, 1, true) then error("report.txt does not hold " .. total) end
