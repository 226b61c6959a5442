local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["pump.txt"] = "Model: Corvo 3\nPressure: 6 bar\nServiced: no\n" },
  tools = { "read_file" },
  turns = {
    {
      say = "Give me model and pressure from pump.txt.",
      schema = {
        type = "object",
        properties = { model = { type = "string" }, pressure = { type = "integer" } },
        required = { "model", "pressure" },
        additionalProperties = false,
      },
    },
  },
  check = function(run)
    local value = run.turns[1].value
    if type(value) ~= "table" then return nil, "there is no value" end
    if value.pressure ~= 6 then return nil, "pressure is " .. tostring(value.pressure) end
    if not tostring(value.model):lower():find("corvo 3", 1, true) then return nil, "model is " .. tostring(value.model) end
    return true
  end,
  replies = { { "read_file", { path = "pump.txt" } }, "The Corvo 3, at 6 bar.", '{"model": "Corvo 3", "pressure": 6}' },
}
