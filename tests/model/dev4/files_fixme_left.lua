local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["src/door.py"] = "def open():\n    return True\n",
    ["src/bell.py"] = "def ring():\n    pass  # FIXME too loud\n",
    ["src/lift.py"] = "FLOORS = 9\n",
  },
  tools = { "search_files", "read_file", "write_file" },
  turns = { "is there a FIXME left anywhere in src? which file" },
  check = expect.answer { "bell.py", expect.none { "door.py", "lift.py" } },
  replies = { { "search_files", { query = "FIXME", path = "src" } }, "Yes, in src/bell.py." },
}
