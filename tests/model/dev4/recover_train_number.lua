local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  tools = { "platform_of", "read_file" },
  own_tools = {
    platform_of = kit.tool("platform_of", "Tell from which platform a train leaves.", { { "train", "string", "Train number" } }, [[
    if not args.train:find("^%u%u%-%d+$") then
      return nil, "write the train as two capital letters, a hyphen and the number, such as AB-12"
    end
    local found = ({ ["KT-40"] = "platform 9", ["KT-41"] = "platform 2", ["RS-7"] = "platform 5" })[args.train]
    if found then return found end
    return nil, "there is no such train"]]),
  },
  turns = { "which platform does train kt 40 leave from" },
  check = expect.answer(9),
  replies = { { "platform_of", { train = "kt 40" } }, { "platform_of", { train = "KT-40" } }, "It leaves from platform 9." },
}
