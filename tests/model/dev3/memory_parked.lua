local expect = require "hearth.expect"

return {
  kind = "memory",
  memories = { "The car is parked on level 6 of the garage." },
  tools = { "remember", "recall", "read_file" },
  turns = { "On which level did I park the car?" },
  check = expect.answer(expect.any { 6, "six" }),
  replies = { { "recall", { query = "car parked level" } }, "The car is on level 6." },
}
