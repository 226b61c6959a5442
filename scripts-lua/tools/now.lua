--- The date and time on this machine.
local M = {
    name = "now",
    description = "Get the current date and time.",
    parameters = { type = "object", properties = {}, additionalProperties = false },
    effect = "pure",
    capabilities = { clock = true },
}

--- @return string such as "Sunday, 2026-11-22 19:05:40 +0000"
function M.run()
    return os.date("%A, %Y-%m-%d %H:%M:%S %z")
end

return M
