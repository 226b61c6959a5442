local expect = require "hearth.expect"

return {
  kind = "unseen tools",
  own_tools = {
    crew_call = [[
return {
  name = "crew_call",
  description = "Calls members of the lifeboat crew to the station.",
  parameters = { type = "object", properties = {
    people = { type = "array", items = { type = "string" }, description = "Names of those to call" },
  }, required = { "people" }, additionalProperties = false },
  effect = "pure",
  run = function(args)
    return ("called %d: %s"):format(#args.people, table.concat(args.people, ", "))
  end,
}
]],
  },
  tools = { "crew_call" },
  turns = { "Call Edda, Rupert and Min to the station." },
  check = expect.all {
    expect.called("crew_call", {
      people = function(list)
        if type(list) ~= "table" or #list ~= 3 then return false end
        local found = {}
        for _, name in ipairs(list) do found[tostring(name):lower()] = true end
        return found.edda and found.rupert and found.min
      end,
    }),
    expect.calls_at_most(1),
    expect.answer(),
  },
  replies = { { "crew_call", { people = { "Edda", "Rupert", "Min" } } }, "Edda, Rupert and Min are called." },
}
