--- Names what is in a folder of the workspace.
local M = {
    name = "list_files",
    description = "List the files in a directory.",
    parameters = {
        type = "object",
        properties = {
            path = { type = "string", description = "Directory path" },
        },
        additionalProperties = false,
    },
    effect = "pure",
    capabilities = { fs = "r" },
}

--- @param args {path?: string}
--- @return string one name per line, folders with a slash; or nil and the reason
function M.run(args, ctx)
    local found, why = ctx.fs.list(args.path)
    if not found then return nil, why end
    local lines = {}
    for _, entry in ipairs(found.entries) do
        lines[#lines + 1] = entry.name .. (entry.type == "folder" and "/" or "")
    end
    if #lines == 0 then return "(no files)" end
    if found.more then lines[#lines + 1] = "... and more" end
    return table.concat(lines, "\n")
end

return M
