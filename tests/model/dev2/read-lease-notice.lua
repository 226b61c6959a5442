local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["flat/lease.txt"] = "Tenant: M. Obuya\nRent: 815 a month\nNotice: 10 weeks\nPets: one cat\n" },
  tools = { "read_file", "list_files" },
  turns = { "What notice period does flat/lease.txt give?" },
  check = expect.answer(expect.any { { 10, expect.any { "weeks", "week" } }, "ten weeks" }),
  replies = { { "read_file", { path = "flat/lease.txt" } }, "The notice period is 10 weeks." },
}
