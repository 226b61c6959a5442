--- The agent library: what `require "hearth"` returns in an agent script.
-- A script runs in the main process and is trusted, but it has no io and no os.execute: whatever touches the
-- machine is a tool, and runs in a sandbox. Failures are Lua errors; catch them with pcall.
local _, core = ...

local M = {
  version = core.version,
  --- JSON: encode(value), decode(text), null, array{...} (marks a table as a list, for empty ones).
  json = core.json,
}

-- What an answer may be asked for as, and how the core calls it.
local kinds = { schema = "schema", regex = "regex", grammar = "ebnf", tags = "tags" }

local Agent = {}
Agent.__index = Agent

--- Makes an agent.
-- @param options table; every field may be missing:
--   name          whose memories and sessions these are ("default")
--   instructions  the system message
--   tools         list of tool names; without it, all that are there
--   tool_dirs     list of folders with further tools, relative to the script
--   workspace     the folder that file tools work in, relative to the script
--   policy        {tool_name = "allow" | "ask" | "deny"}, "*" for all
--   limits        {steps =, tokens =, seconds =, recalled =}
--   sampling      {temperature =, top_p =, top_k =, min_p =, seed =, stop = {text...}}; greedy without it
--   tool_choice   whether a turn may call tools: "auto" (the default), "none", "required" (the first answer of a turn
--                 begins with calls), {name = TOOL} (with one call of it); after its calls a turn goes on as with "auto"
--   session       number of a session to go on with, or "last"
-- @return agent
function M.agent(options)
  return setmetatable({ handle = core.agent(options or {}) }, Agent)
end

--- Copies a folder, so that each run starts from the same files.
-- @param folder path, relative to the script
-- @return path of the fresh copy
function M.fresh_workspace(folder)
  return core.fresh_workspace(folder)
end

--- One turn: the agent works until it answers.
-- @param input what the user says
-- @param options
--   tool_choice  for this turn, instead of the agent's
--   and what the answer has to be, one of
--   schema   a JSON Schema: the answer is JSON, and `value` holds it
--   regex    a pattern that matches the whole answer
--   grammar  EBNF, with the rule `root` as the answer
--   tags     structural tags, a table as in the README
-- @return {answer =, value = (under the schema), steps =, calls =, tokens_in =, tokens_cached =, tokens_out =,
--   seconds =, run =, session =, stopped =}
function Agent:run(input, options)
  if options ~= nil and type(options) ~= "table" then
    error("run: expected a table of options, found " .. type(options), 2)
  end
  local kind, output, choice
  for name, value in pairs(options or {}) do
    if name == "tool_choice" then
      choice = core.json.encode(value)
      goto continue
    end
    if not kinds[name] then error(("run: there is no option `%s`"):format(tostring(name)), 2) end
    if kind then error("run: an answer is asked for as one of schema, regex, grammar, tags", 2) end
    local text = name == "regex" or name == "grammar"
    if text and type(value) ~= "string" then
      error(("run: option `%s`: expected a text, found %s"):format(name, type(value)), 2)
    end
    kind, output = kinds[name], value
    ::continue::
  end
  return core.run(self.handle, input, kind, output, choice)
end

--- Runs one tool without the model, in the same sandbox.
-- @return its text, or nil and what went wrong
function Agent:call(tool, arguments)
  return core.call(self.handle, tool, arguments)
end

--- Saves a fact. @return its number
function Agent:remember(text)
  return core.remember(self.handle, text)
end

--- Facts that fit the query, best first.
-- @return list of {id =, text =, score =, words_rank =, vector_rank =, created_us =}
function Agent:recall(query, k)
  return core.recall(self.handle, query, k)
end

return M
