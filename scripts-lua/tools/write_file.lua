--- Writes one text file of the workspace, new or in place of what was there.
local M = {
    name = "write_file",
    description = "Write text to a file.",
    parameters = {
        type = "object",
        properties = {
            path = { type = "string", minLength = 1, description = "Path of the file" },
            content = { type = "string", description = "Text to write" },
        },
        required = { "path", "content" },
        additionalProperties = false,
    },
    effect = "idempotent",
    capabilities = { fs = "rw" },
}

--- @param args {path: string, content: string}
--- @return string how much was written, or nil and the reason
function M.run(args, ctx)
    local n, why = ctx.fs.write(args.path, args.content)
    if not n then return nil, why end
    return ("wrote %d byte%s to %s"):format(n, n == 1 and "" or "s", args.path:match("^%s*(.-)%s*$"))
end

return M
