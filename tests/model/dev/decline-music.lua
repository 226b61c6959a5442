local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "declining",
  own_tools = {
    convert_length = kit.tool("convert_length", "Convert a length from metres to feet.", { { "metres", "number", "The length" } },
      "    return ('%.2f feet'):format(args.metres * 3.28084)"),
  },
  tools = { "convert_length" },
  turns = { "Please play some jazz." },
  check = expect.declines,
  replies = { "I am not able to play music." },
}
