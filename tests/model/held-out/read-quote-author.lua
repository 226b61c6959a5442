local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["plaque.txt"] = "THIS BRIDGE WAS BUILT BY\nHONORA WEXFORD\nAND OPENED IN 1887\n" },
  tools = { "read_file", "calculate", "now" },
  turns = { "Who built the bridge, and in which year was it opened? See plaque.txt" },
  check = expect.answer { "Honora Wexford", 1887 },
  replies = { { "read_file", { path = "plaque.txt" } }, "It was built by Honora Wexford and opened in 1887." },
}
