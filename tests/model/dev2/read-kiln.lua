local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["kiln.md"] = "# Bisque firing\n\n- ramp 90 degrees an hour\n- hold at 1040 degrees\n- cool for 14 hours\n" },
  tools = { "read_file", "write_file" },
  turns = { "how many hours must the kiln cool? it's in kiln.md" },
  check = expect.all { expect.answer(14), expect.only_files { "kiln.md" } },
  replies = { { "read_file", { path = "kiln.md" } }, "It must cool for 14 hours." },
}
