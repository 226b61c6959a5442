local expect = require "hearth.expect"

return {
  kind = "files",
  files = {
    ["drawings/flange_v1.svg"] = "<svg/>\n", ["drawings/gasket_v7.svg"] = "<svg/>\n", ["drawings/valve_v3.svg"] = "<svg/>\n",
  },
  tools = { "list_files", "write_file" },
  turns = { "look in drawings, what version is the gasket drawing?" },
  check = expect.answer(function(text)
    return text:lower():find "%f[%d]7%f[%D]" and true or nil, "no 7"
  end),
  replies = { { "list_files", { path = "drawings" } }, "It is gasket_v7.svg, version 7." },
}
