
return {
  kind = "read",
  files = { ["person.txt"] = "Name: Ines Duarte\nAge: 41\nTown: Braga\n" },
  tools = { "read_file" },
  turns = {
    {
      say = "read person.txt: what is the age",
      schema = {
        type = "object",
        properties = { age = { type = "integer", minimum = 0, maximum = 150 } },
        required = { "age" },
      },
    },
  },
  check = function(run)
    local value = run.turns[1].value
    if value.age == 41 then return true end
    return nil, "expected the age 41, found " .. tostring(value.age)
  end,
  replies = { { "read_file", { path = "person.txt" } }, "41", '{"age": 41}' },
}
