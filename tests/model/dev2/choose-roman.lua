local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choosing",
  own_tools = {
    to_roman = kit.tool("to_roman", "Writes a whole number in Roman numerals.", { { "number", "integer", "The number" } },
      "    local n, out = args.number, ''\n"
        .. "    for _, p in ipairs({ { 1000, 'M' }, { 900, 'CM' }, { 500, 'D' }, { 400, 'CD' }, { 100, 'C' }, { 90, 'XC' },\n"
        .. "      { 50, 'L' }, { 40, 'XL' }, { 10, 'X' }, { 9, 'IX' }, { 5, 'V' }, { 4, 'IV' }, { 1, 'I' } }) do\n"
        .. "      while n >= p[1] do n, out = n - p[1], out .. p[2] end\n"
        .. "    end\n"
        .. "    return out"),
  },
  tools = kit.all_tools("to_roman"),
  turns = { "Write 149 in Roman numerals for the clock face." },
  check = expect.all { expect.called("to_roman", { number = 149 }), expect.answer("CXLIX") },
  replies = { { "to_roman", { number = 149 } }, "149 is CXLIX." },
}
