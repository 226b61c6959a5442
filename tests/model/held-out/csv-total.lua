local expect = require "hearth.expect"

return {
  kind = "csv",
  files = { ["donations.csv"] = "donor,euros\nAmira,15\nBenno,120\nChiara,42.5\nDelphine,8\n" },
  tools = { "csv_query", "calculate", "read_file" },
  turns = { "What do the donations in donations.csv come to, in euros?" },
  check = expect.answer(185.5),
  replies = { { "csv_query", { path = "donations.csv", column = "euros", operation = "sum" } }, "They come to 185.5 euros." },
}
