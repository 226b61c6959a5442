local expect = require "hearth.expect"

return {
  kind = "read",
  files = { ["trip.txt"] = "hotel: Casa Verde\narrival: Thursday\nnights: 4\ndog: stays with Lena\n" },
  tools = { "read_file" },
  turns = { "Read trip.txt. What is the hotel called, and how many nights is it?" },
  check = expect.answer { "Casa Verde", expect.any { 4, "four" } },
  replies = { { "read_file", { path = "trip.txt" } }, "The hotel is Casa Verde, for 4 nights." },
}
