local expect = require "hearth.expect"

--- Today's date in whatever form: 2026-11-29, 29.11.2026, November 29th, 2026.
local function is_today(text)
  local today, seen = os.date "!*t", {}
  for word in text:lower():gmatch "%w+" do seen[tonumber(word:match "^%d+") or word] = true end
  local month = seen[today.month] or seen[os.date("!%B"):lower()] or seen[os.date("!%b"):lower()]
  return seen[today.year] and month and seen[today.day] or nil, "it is not today's date"
end

return {
  kind = "dates",
  tools = { "now", "write_file" },
  turns = { "write today's date in visited.txt" },
  check = expect.file("visited.txt", is_today),
  replies = { { "now", {} }, { "write_file", { path = "visited.txt", content = os.date "!%Y-%m-%d\n" } }, "It is written." },
}
