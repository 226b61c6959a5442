local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "choose",
  tools = kit.shipped,
  turns = { "Keep in mind that my locker is number 284." },
  check = expect.all { expect.remembered { "locker", 284 }, expect.only_files {}, expect.answer() },
  replies = { { "remember", { text = "My locker is number 284." } }, "I will remember that your locker is number 284." },
}
