--- A user's own tool: one file in a folder that the script names.
return {
  name = "count_words",
  description = "Count the words in a text.",
  parameters = {
    type = "object",
    properties = { text = { type = "string", description = "The text" } },
    required = { "text" },
  },
  effect = "pure",
  capabilities = {}, -- it computes and asks for nothing
  limits = { wall_ms = 1000 },
  --- @return the number, as text
  run = function(args)
    local n = 0
    for _ in args.text:gmatch("%S+") do n = n + 1 end
    return tostring(n)
  end,
}
