local expect = require "hearth.expect"

return {
  kind = "read",
  files = {
    ["history/scarrow.md"] = "# Scarrow Head\n\nThe lamp was lit for the first time in 1874. Osgood Prell kept it until 1911, "
      .. "and after him his daughter Wenna did. It has run by itself since 1968.\n",
  },
  tools = { "read_file" },
  turns = { "who was the first keeper of the lamp, going by history/scarrow.md" },
  check = expect.answer "Prell",
  replies = { { "read_file", { path = "history/scarrow.md" } }, "Osgood Prell was the first keeper." },
}
