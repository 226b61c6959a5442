--- Keeps a fact for later conversations.
local M = {
    name = "remember",
    description = "Remember a fact for later.",
    parameters = {
        type = "object",
        properties = {
            text = { type = "string", minLength = 1, maxLength = 2000, description = "What to remember" },
        },
        required = { "text" },
        additionalProperties = false,
    },
    effect = "idempotent",
    capabilities = { memory = "rw" },
}

--- @param args {text: string}
--- @return string "saved"; or nil and the reason
function M.run(args, ctx)
    local text = args.text:match("^%s*(.-)%s*$")
    if text == "" then return nil, "text is empty" end
    local kept, why = ctx.memory.remember(text)
    if kept == nil then return nil, why end
    return "saved"
end

return M
