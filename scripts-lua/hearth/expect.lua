--- Checks of what came of a task of `hearth eval`: `local expect = require "hearth.expect"`.
-- A check is a function of the run that returns true, or nil and what is wrong. The run is a table:
--   answer    the last turn's answer
--   turns     list of {answer =, value = (under a schema), steps =, calls =, stopped =}
--   calls     list of {name =, args =, result =, ok =, ran =, turn =}: what the journal holds
--   files     {path = text} of the workspace; false for what is no text
--   memories  list of the facts kept
-- What a text must hold (`want`) is: a text, found as whole words whatever the case and spacing; a number,
-- found by value ("1,200.50" is 1200.5); a list of these, all found; or a function of the text that
-- returns true or nil and what is wrong, such as expect.any{...}, expect.none{...}, expect.near(...).
local M = {}

local function squeeze(text) return (text:lower():gsub("%s+", " ")) end

--- Whether `text` holds `part` as whole words.
local function has_words(text, part)
  text, part = squeeze(text), squeeze(part)
  local from = 1
  while true do
    local a, b = text:find(part, from, true)
    if not a then return false end
    local before, after = text:sub(a - 1, a - 1), text:sub(b + 1, b + 1)
    local joined = (before:find("%w") and part:find("^%w")) or (after:find("%w") and part:find("%w$"))
    if not joined then return true end
    from = a + 1
  end
end

--- The numbers that stand in a text, commas between thousands taken away.
local function numbers_in(text)
  local list = {}
  for at, digits in text:gmatch("()(%d[%d,]*%.?%d*)") do
    local sign, before = text:sub(at - 1, at - 1), text:sub(at - 2, at - 2)
    local negative = sign == "-" and (at == 2 or before:find("[%s%(:=]"))
    local value = tonumber((digits:gsub(",", ""):gsub("%.$", "")))
    if value then list[#list + 1] = negative and -value or value end
  end
  return list
end

--- A number within `slack` of x.
function M.near(x, slack)
  return function(text)
    for _, found in ipairs(numbers_in(text)) do
      if math.abs(found - x) <= slack + 1e-9 * math.abs(x) then return true end
    end
    return nil, ("no number %s"):format(x)
  end
end

local function meets(text, want)
  if type(want) == "string" then
    if has_words(text, want) then return true end
    return nil, ("no \"%s\""):format(want)
  elseif type(want) == "number" then
    return M.near(want, 0)(text)
  elseif type(want) == "table" then
    for _, one in ipairs(want) do
      local ok, why = meets(text, one)
      if not ok then return nil, why end
    end
    return true
  end
  return want(text)
end

--- One of these.
function M.any(wants)
  return function(text)
    local whys = {}
    for i, want in ipairs(wants) do
      local ok, why = meets(text, want)
      if ok then return true end
      whys[i] = why
    end
    return nil, table.concat(whys, " and ")
  end
end

--- None of these.
function M.none(wants)
  return function(text)
    for _, want in ipairs(wants) do
      if meets(text, want) then return nil, ("holds %s, which it must not"):format(tostring(want)) end
    end
    return true
  end
end

--- Exactly this text, but for white space at both ends.
function M.exactly(wanted)
  return function(text)
    if text:match("^%s*(.-)%s*$") == wanted:match("^%s*(.-)%s*$") then return true end
    return nil, "it is not exactly as it must be"
  end
end

local function shown(text)
  if #text <= 80 then return ("%q"):format(text) end
  return ("%q..."):format(text:sub(1, 80):gsub("[\x80-\xff]+$", ""))
end

--- All of these checks.
function M.all(checks)
  return function(run)
    for _, check in ipairs(checks) do
      local ok, why = check(run)
      if not ok then return nil, why end
    end
    return true
  end
end

--- One of these checks.
function M.either(checks)
  return function(run)
    local whys = {}
    for i, check in ipairs(checks) do
      local ok, why = check(run)
      if ok then return true end
      whys[i] = why
    end
    return nil, table.concat(whys, "; or ")
  end
end

--- Words of the template in an answer: the model went on after its turn was over.
local MARKUP = { "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|im_", "<think>" }

local function check_answer(where, answer, want)
  if answer:match("^%s*$") then return nil, where .. " is empty" end
  for _, mark in ipairs(MARKUP) do
    if answer:find(mark, 1, true) then return nil, ("%s holds %s: %s"):format(where, mark, shown(answer)) end
  end
  if want == nil then return true end
  local ok, why = meets(answer, want)
  if not ok then return nil, ("%s: %s in %s"):format(where, why, shown(answer)) end
  return true
end

--- The last answer holds what is wanted (nil: anything) and nothing of the template.
function M.answer(want)
  return function(run) return check_answer("the answer", run.answer, want) end
end

--- The answer of turn i does.
function M.turn(i, want)
  return function(run) return check_answer("the answer of turn " .. i, run.turns[i].answer, want) end
end

--- The last answer has at most n words.
function M.short(n)
  return function(run)
    local _, words = run.answer:gsub("%S+", "")
    if words <= n then return true end
    return nil, ("the answer has %d words, at most %d are wanted: %s"):format(words, n, shown(run.answer))
  end
end

--- The file is there and holds what is wanted (nil: anything).
function M.file(path, want)
  return function(run)
    local text = run.files[path]
    if text == nil then return nil, ("there is no file %s"):format(path) end
    if not text then return nil, ("file %s is no text"):format(path) end
    if want == nil then return true end
    local ok, why = meets(text, want)
    if not ok then return nil, ("file %s: %s in %s"):format(path, why, shown(text)) end
    return true
  end
end

function M.no_file(path)
  return function(run)
    if run.files[path] == nil then return true end
    return nil, ("there is a file %s, which there must not be"):format(path)
  end
end

--- The workspace holds these files and no others.
function M.only_files(paths)
  return function(run)
    local wanted = {}
    for _, path in ipairs(paths) do wanted[path] = true end
    for path in pairs(run.files) do
      if not wanted[path] then return nil, ("there is a file %s, which nobody asked for"):format(path) end
    end
    return true
  end
end

--- Some fact that is kept holds what is wanted.
function M.remembered(want)
  return function(run)
    local last = "nothing is remembered"
    for _, fact in ipairs(run.memories) do
      local ok, why = meets(fact, want)
      if ok then return true end
      last = ("memory: %s in %s"):format(why, shown(fact))
    end
    return nil, last
  end
end

local function same(found, wanted)
  if type(wanted) == "function" then return (wanted(found)) end
  if type(found) == "number" and type(wanted) == "number" then return found == wanted end
  if type(found) == "string" and type(wanted) == "string" then
    return squeeze(found:match("^%s*(.-)%s*$")) == squeeze(wanted)
  end
  return found == wanted
end

--- A call of this tool did its work, with these arguments among its own (texts whatever the case and
-- spacing; a function judges the value).
function M.called(name, args)
  return function(run)
    local last = ("%s was not called"):format(name)
    for _, call in ipairs(run.calls) do
      if call.name == name then
        local wrong = not call.ok and ("%s failed: %s"):format(name, shown(call.result)) or nil
        for key, wanted in pairs(args or {}) do
          if not wrong and not same(call.args[key], wanted) then
            wrong = ("%s: argument %s is %s"):format(name, key, shown(tostring(call.args[key])))
          end
        end
        if not wrong then return true end
        last = wrong
      end
    end
    return nil, last
  end
end

--- None of these tools did anything; without names, no tool was even asked for.
function M.not_called(...)
  local names = { ... }
  return function(run)
    for _, call in ipairs(run.calls) do
      if #names == 0 then return nil, ("%s was called"):format(call.name) end
      for _, name in ipairs(names) do
        if call.name == name and call.ok then return nil, ("%s was called"):format(name) end
      end
    end
    return true
  end
end

--- At most n calls were asked for; of turn `turn` when it is given.
function M.calls_at_most(n, turn)
  return function(run)
    local found = 0
    for _, call in ipairs(run.calls) do
      if not turn or call.turn == turn then found = found + 1 end
    end
    if found <= n then return true end
    return nil, ("%d calls, at most %d are wanted"):format(found, n)
  end
end

--- Some text among patterns of Lua, in lower case with straight apostrophes.
local function says(text, patterns)
  text = squeeze(text):gsub("\u{2019}", "'")
  for _, pattern in ipairs(patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

local REFUSAL = {
  "can't", "cannot", "can not", "unable", "not able", "not possible", "impossible", "%f[%a]no tool", "no way to",
  "don't have", "do not have", "doesn't have", "not available", "unavailable", "not something", "none of the",
  "there is no", "there's no", "no access", "not supported", "outside", "beyond", "sorry", "isn't something",
  "don't know how", "only able to", "i can only", "lack",
}

--- It says that it cannot do this, and did nothing.
function M.declines(run)
  local ok, why = M.all { M.not_called(), M.answer() } (run)
  if not ok then return nil, why end
  if says(run.answer, REFUSAL) then return true end
  return nil, "it does not decline: " .. shown(run.answer)
end

local QUESTION = {
  "%?", "please tell", "please give", "please provide", "please specify", "please say", "please name", "need to know",
  "let me know", "i need the", "i need a", "tell me wh", "tell me the", "tell me how", "you did not say",
  "you didn't say", "is missing", "not given", "not specified",
}

--- It asks back, and did nothing. want: what the question must hold.
function M.asks(want)
  return function(run)
    local ok, why = M.all { M.not_called(), M.answer(want) } (run)
    if not ok then return nil, why end
    if says(run.answer, QUESTION) then return true end
    return nil, "it does not ask: " .. shown(run.answer)
  end
end

return M
