--- Reads one text file of the workspace.
local M = {
    name = "read_file",
    description = "Read a text file and return its content.",
    parameters = {
        type = "object",
        properties = {
            path = { type = "string", minLength = 1, description = "Path of the file" },
        },
        required = { "path" },
        additionalProperties = false,
    },
    effect = "pure",
    capabilities = { fs = "r" },
}

--- @param args {path: string}
--- @return string the text, or nil and the reason
function M.run(args, ctx)
    local text, why = ctx.fs.read(args.path)
    if text == "" then return "(the file is empty)" end
    return text, why
end

return M
