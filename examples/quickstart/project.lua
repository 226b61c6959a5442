-- Looking things up in notes, and searching them.
local hearth = require "hearth"

local function agent(tools)
  return hearth.agent { name = "project", workspace = hearth.fresh_workspace "project", tools = tools }
end
local budget = agent { "read_file", "calculate" }:run("find the budget in the file notes.txt")
if not budget.answer:find("12500", 1, true) then error("expected 12500 in: " .. budget.answer) end

local lines = agent { "search_files" }:run("which lines in notes.txt contain Ana")
if not lines.answer:find("Ana Silva", 1, true) then error("expected Ana Silva in: " .. lines.answer) end
