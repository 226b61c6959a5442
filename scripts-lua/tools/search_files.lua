--- Finds a text in the files of the workspace.
local M = {
    name = "search_files",
    description = "Search for a text in files.",
    parameters = {
        type = "object",
        properties = {
            query = { type = "string", minLength = 1, description = "Text to look for" },
            path = { type = "string", description = "File or directory to search" },
        },
        required = { "query" },
        additionalProperties = false,
    },
    effect = "pure",
    capabilities = { fs = "r" },
}

--- @param args {query: string, path?: string}
--- @return string lines "file:number: text"; or nil and the reason
function M.run(args, ctx)
    local query = args.query:match("^%s*(.-)%s*$")
    if query == "" then return nil, "query is empty" end
    local found, why = ctx.fs.search(query, args.path)
    if not found then return nil, why end
    local lines = {}
    for _, m in ipairs(found.matches) do
        lines[#lines + 1] = ("%s:%d: %s"):format(m.path, m.line, m.text)
    end
    if #lines == 0 then return ("no line contains \"%s\""):format(query) end
    if found.more then lines[#lines + 1] = "... and more" end
    return table.concat(lines, "\n")
end

return M
