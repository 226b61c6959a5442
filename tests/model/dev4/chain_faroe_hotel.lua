local expect = require "hearth.expect"

return {
  kind = "chain",
  memories = { "The plan of the Faroe trip is in the file trips/faroe.txt", "The passport runs out in June" },
  files = {
    ["trips/faroe.txt"] = "flight: RC 451\nhotel: Pension Hafnia\nnights: 5\n", ["trips/malta.txt"] = "hotel: Blue Dolphin\nnights: 7\n",
  },
  tools = { "recall", "read_file" },
  turns = { "Recall where the plan of the Faroe trip is, then look up which hotel we stay at." },
  check = expect.answer { "Hafnia", expect.none { "Dolphin" } },
  replies = {
    { "recall", { query = "Faroe trip plan" } }, { "read_file", { path = "trips/faroe.txt" } }, "You stay at Pension Hafnia.",
  },
}
