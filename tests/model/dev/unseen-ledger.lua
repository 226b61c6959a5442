local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    acct_fetch_bal = kit.lookup("acct_fetch_bal", "Balance of an account.", { "iban_tail", "string", "Last four digits of the account" },
      { ["8821"] = "balance 1530.75 EUR", ["1207"] = "balance 88.00 EUR" }),
  },
  tools = { "acct_fetch_bal", "calculate" },
  turns = { "what is the balance of the account ending in 8821" },
  check = expect.all { expect.called("acct_fetch_bal", { iban_tail = "8821" }), expect.answer(1530.75) },
  replies = { { "acct_fetch_bal", { iban_tail = "8821" } }, "The balance is 1530.75 EUR." },
}
