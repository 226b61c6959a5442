
return {
  kind = "read",
  files = { ["ticket-88.txt"] = "from: Noor\nsubject: cannot log in since the update\nurgency: high\n" },
  tools = { "read_file" },
  turns = {
    {
      say = "look into ticket-88.txt: how urgent is it",
      schema = {
        type = "object",
        properties = { urgency = { enum = { "low", "medium", "high" } } },
        required = { "urgency" },
      },
    },
  },
  check = function(run)
    local found = run.turns[1].value.urgency
    if found == "high" then return true end
    return nil, "expected the urgency high, found " .. tostring(found)
  end,
  replies = { { "read_file", { path = "ticket-88.txt" } }, "It is high.", '{"urgency": "high"}' },
}
