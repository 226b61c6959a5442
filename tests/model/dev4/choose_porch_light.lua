local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.all_tools("switch_light", "lock_door"),
  own_tools = {
    switch_light = kit.tool("switch_light", "Switch a light on or off.", {
      { "place", "string", "Where the light is" }, { "state", "string", "on or off", enum = { "on", "off" } },
    }, [[    return args.place .. " light is " .. args.state]]),
    lock_door = kit.tool("lock_door", "Lock a door.", { { "door", "string", "Which door" } }, [[    return args.door .. " is locked"]]),
  },
  turns = { "Turn the porch light off, would you" },
  check = expect.all {
    expect.called("switch_light", { place = function(text) return text:lower():find "porch" end, state = "off" }),
    expect.not_called "lock_door", expect.answer(),
  },
  replies = { { "switch_light", { place = "porch", state = "off" } }, "The porch light is off." },
}
