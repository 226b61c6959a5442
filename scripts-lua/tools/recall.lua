--- Finds facts that were kept by `remember`.
local M = {
    name = "recall",
    description = "Search the memory for something that was remembered.",
    parameters = {
        type = "object",
        properties = {
            query = { type = "string", minLength = 1, description = "What to look for" },
        },
        required = { "query" },
        additionalProperties = false,
    },
    effect = "pure",
    capabilities = { memory = "r" },
}

--- A memory is a string, or a table whose text field is one.
local function text_of(memory)
    if type(memory) == "table" then memory = memory.text end
    return type(memory) == "string" and memory or nil
end

--- @param args {query: string}
--- @return string one fact per line; or nil and the reason
function M.run(args, ctx)
    local query = args.query:match("^%s*(.-)%s*$")
    local found, why = ctx.memory.recall(query)
    if found == nil then return nil, why end
    local lines = {}
    for _, memory in ipairs(type(found) == "table" and found or { found }) do
        lines[#lines + 1] = text_of(memory)
    end
    if #lines == 0 then return "nothing is remembered about that" end
    return table.concat(lines, "\n")
end

return M
