--- What the tasks of this suite share: tools of their own, and dates.
local M = {}

--- A tool as Lua text, for `own_tools`.
-- @param about its description
-- @param parameters list of {name, type, description, optional = true, enum = {...}}
-- @param body Lua: the body of run(args)
function M.tool(name, about, parameters, body)
  local properties, required = {}, {}
  for i, p in ipairs(parameters) do
    local words = {}
    for k, word in ipairs(p.enum or {}) do words[k] = ("%q"):format(word) end
    local enum = p.enum and (", enum = { %s }"):format(table.concat(words, ", ")) or ""
    properties[i] = ("    %s = { type = %q, description = %q%s },\n"):format(p[1], p[2], p[3], enum)
    if not p.optional then required[#required + 1] = ("%q"):format(p[1]) end
  end
  return ([[
return {
  name = %q,
  description = %q,
  parameters = { type = "object", properties = {
%s  }, %sadditionalProperties = false },
  effect = "pure",
  run = function(args)
%s
  end,
}
]]):format(name, about, table.concat(properties),
    #required > 0 and ("required = { %s }, "):format(table.concat(required, ", ")) or "", body)
end

--- A tool that looks its only argument up in a table, whatever the case.
function M.lookup(name, about, parameter, table_of)
  local rows, names = {}, {}
  for key, value in pairs(table_of) do
    rows[#rows + 1] = ("[%q] = %q"):format(key:lower(), value)
    names[#names + 1] = key
  end
  table.sort(rows)
  table.sort(names)
  local body = ([[
    local found = ({ %s })[args.%s:lower():match("^%%s*(.-)%%s*$")]
    if found then return found end
    return nil, %q]]):format(table.concat(rows, ", "), parameter[1],
    ("unknown %s; known are: %s"):format(parameter[1], table.concat(names, ", ")))
  return M.tool(name, about, { parameter }, body)
end

--- The nine tools that ship.
M.shipped = { "calculate", "csv_query", "list_files", "now", "read_file", "recall", "remember", "search_files", "write_file" }

--- The nine and others.
function M.all_tools(...)
  local list = { ... }
  for _, name in ipairs(M.shipped) do list[#list + 1] = name end
  return list
end

return M
