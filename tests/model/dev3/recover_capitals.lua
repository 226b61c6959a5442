local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "recover",
  own_tools = {
    room_humidity = kit.tool("room_humidity", "Get the humidity of a room in percent.", { { "room", "string", "Name of the room" } },
      [[    if args.room ~= args.room:upper() then return nil, "write the room in capitals, such as " .. args.room:upper() end
    if args.room:find("ATTIC") then return "58" end
    if args.room:find("CELLAR") then return "77" end
    return nil, "there are the rooms ATTIC and CELLAR"]]),
  },
  tools = { "room_humidity" },
  turns = { "how humid is it in the cellar?" },
  check = expect.answer(77),
  replies = {
    { "room_humidity", { room = "cellar" } }, { "room_humidity", { room = "CELLAR" } }, "The humidity in the cellar is 77 percent.",
  },
}
