local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["probe.json"] = '{\n  "id": "P-6",\n  "depth_cm": 35,\n  "salinity": 28.4,\n  "battery": "weak"\n}\n' },
  tools = { "read_file", "calculate" },
  turns = { "Open probe.json and give me the salinity." },
  check = expect.answer(28.4),
  replies = { { "read_file", { path = "probe.json" } }, "The salinity is 28.4." },
}
