local expect = require "hearth.expect"

return {
  kind = "chain",
  files = {
    ["start.txt"] = "The plan for the fair is in plans/booth.txt.\n",
    ["plans/booth.txt"] = "place: hall 6\nhelper: Noemi\nbring: two lanterns\n",
    ["plans/old.txt"] = "place: hall 2\nhelper: Gideon\n",
  },
  tools = { "read_file" },
  turns = { "start.txt tells you in which file the plan is. Who is the helper in that plan?" },
  check = expect.answer("Noemi"),
  replies = { { "read_file", { path = "start.txt" } }, { "read_file", { path = "plans/booth.txt" } }, "The helper is Noemi." },
}
