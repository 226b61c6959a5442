local expect = require "hearth.expect"

return {
  kind = "write",
  tools = { "write_file", "csv_query" },
  turns = { "I need a file seats.csv with these two lines:\nname,seat\nYusuf,38" },
  check = expect.all {
    expect.file("seats.csv", function(text)
      if text:gsub("%s*,%s*", ","):lower():find("name,seat\r?\n%s*yusuf,38") then return true end
      return nil, "not these two lines"
    end),
    expect.answer(),
  },
  replies = { { "write_file", { path = "seats.csv", content = "name,seat\nYusuf,38\n" } }, "The file seats.csv is there." },
}
