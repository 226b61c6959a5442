local expect = require "hearth.expect"

return {
  kind = "read",
  files = {
    ["notes/monday.md"] = "# Monday\n\n- stand-up with Oskar at 9:15 in room Basalt\n- lunch with the new neighbours\n- call the roofer\n",
  },
  tools = { "read_file", "write_file" },
  turns = { "look into notes/monday.md: in which room is the stand-up" },
  check = expect.all { expect.answer("Basalt"), expect.only_files { "notes/monday.md" } },
  replies = { { "read_file", { path = "notes/monday.md" } }, "The stand-up is in room Basalt." },
}
