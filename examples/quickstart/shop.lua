-- A JSON file, and an answer under a schema: the script gets a value, not a sentence.
local hearth = require "hearth"

local agent = hearth.agent {
  name = "shop",
  workspace = hearth.fresh_workspace "shop",
  tools = { "read_file" },
}
local r = agent:run("look into item.json: what is the price")
if not r.answer:find("39.9", 1, true) then error("expected 39.9 in: " .. r.answer) end

local priced = agent:run("look into item.json: what is the price", {
  schema = { type = "object", properties = { price = { type = "number", minimum = 0, maximum = 1000 } }, required = { "price" } },
})
print(("the price is %.2f"):format(priced.value.price))
if math.abs(priced.value.price - 39.9) > 0.01 then error("expected 39.9, found " .. priced.value.price) end
