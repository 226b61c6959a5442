local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "asking back",
  own_tools = {
    report_fault = kit.tool("report_fault", "Report a fault to the caretaker.",
      { { "room", "string", "Number of the room" }, { "fault", "string", "What is broken" } }, "    return 'reported'"),
  },
  tools = { "report_fault", "write_file" },
  turns = { "Please report a broken window to the caretaker." },
  check = expect.asks(expect.any { "room", "where", "which" }),
  replies = { "In which room is the broken window?" },
}
