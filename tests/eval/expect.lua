-- If this fails, tasks are judged wrongly: a right answer in other words fails, or a wrong fact passes.
-- Run by `hearth run tests/eval/expect.lua`.
local expect = require "hearth.expect"

local function run(answer, more)
  local r = { answer = answer, turns = { { answer = answer } }, calls = {}, files = {}, memories = {} }
  for key, value in pairs(more or {}) do r[key] = value end
  return r
end

local n = 0
local function yes(check, r)
  n = n + 1
  local ok, why = check(r)
  if ok ~= true then error("must pass: " .. tostring(why), 2) end
end
local function no(check, r, part)
  n = n + 1
  local ok, why = check(r)
  if ok then error("must not pass", 2) end
  if type(why) ~= "string" or (part and not why:find(part, 1, true)) then error("reason: " .. tostring(why), 2) end
end

-- words
yes(expect.answer("Ana Silva"), run "The owner is ana\n silva.")
no(expect.answer("Ana"), run "banana", 'no "Ana"')
yes(expect.answer("02.txt"), run "in inbox/02.txt.")
yes(expect.answer("plum-kettle-52"), run "It is `plum-kettle-52`.")
no(expect.answer("plum-kettle-5"), run "It is plum-kettle-52.")
-- numbers
yes(expect.answer(1200.5), run "It is 1,200.50 euros.")
yes(expect.answer(37), run "37.")
no(expect.answer(37), run "370 or 3.7 or A137")
no(expect.answer(5), run "the sum is -5")
yes(expect.answer(-5), run "the sum is -5")
yes(expect.answer(2026), run "2026-11-28")
yes(expect.answer(30), run "30 hours, 4 days")
no(expect.answer(31.25), run "31")
yes(expect.answer(expect.near(3.14159, 0.01)), run "about 3.14")
no(expect.answer(expect.near(3.14159, 0.001)), run "about 3.14")
-- put together
yes(expect.answer { "Dune", expect.any { 4, "four" }, expect.none { "Emma" } }, run "Dune, four of them")
no(expect.answer { "Dune", expect.none { "Emma" } }, run "Dune and Emma", "must not")
no(expect.answer(expect.any { 4, "four" }), run "five", "no number 4")
yes(expect.either { expect.answer(4), expect.answer(5) }, run "5")
no(expect.either { expect.answer(4), expect.answer(5) }, run "6", "; or ")
-- an answer is one
no(expect.answer(), run " \n")
no(expect.answer(), run "12</tool_response>", "</tool_response>")
no(expect.short(3), run "one two three four")
yes(expect.turn(1, "a b"), run "a  b")
-- files, memories
yes(expect.file("a.txt", expect.exactly "x y"), run("", { files = { ["a.txt"] = "x y\n" } }))
no(expect.file("a.txt", expect.exactly "x y"), run("", { files = { ["a.txt"] = "x  y" } }))
no(expect.file("a.txt"), run "", "there is no file a.txt")
no(expect.file("a.txt"), run("", { files = { ["a.txt"] = false } }), "no text")
yes(expect.no_file "a.txt", run "")
yes(expect.only_files { "a" }, run("", { files = { a = "" } }))
no(expect.only_files { "a" }, run("", { files = { b = "" } }), "nobody asked for")
yes(expect.remembered { "gate", 60 }, run("", { memories = { "x", "the gate is 60" } }))
no(expect.remembered("gate"), run "", "nothing is remembered")
-- calls
local calls = {
  { name = "f", args = { a = " North  1", n = 2 }, ok = true, ran = true, result = "", turn = 1 },
  { name = "g", args = {}, ok = false, ran = false, result = "denied", turn = 2 },
}
yes(expect.called("f", { a = "north 1", n = 2.0 }), run("", { calls = calls }))
yes(expect.called("f", { n = function(x) return x < 3 end }), run("", { calls = calls }))
no(expect.called("f", { n = 3 }), run("", { calls = calls }), "argument n")
no(expect.called("f", { b = 3 }), run("", { calls = calls }), "argument b")
no(expect.called("g"), run("", { calls = calls }), "g failed")
no(expect.called("h"), run("", { calls = calls }), "h was not called")
yes(expect.not_called("g", "h"), run("", { calls = calls }))
no(expect.not_called("f"), run("", { calls = calls }))
no(expect.not_called(), run("", { calls = calls }))
no(expect.calls_at_most(1), run("", { calls = calls }))
yes(expect.calls_at_most(1, 2), run("", { calls = calls }))
-- declining, asking
for _, answer in ipairs {
  "I'm sorry, but none of my tools can do that.", "I can\u{2019}t send emails.", "That is not possible here.",
  "I do not have a tool for this.", "There's no way to order a taxi with these tools.", "I am unable to help with that.",
} do
  yes(expect.declines, run(answer))
end
no(expect.declines, run "I have sent the email to Vera.")
no(expect.declines, run("I can't do that.", { calls = calls }))
no(expect.declines, run "")
for _, answer in ipairs { "How much?", "Please tell me the amount.", "I need to know how much to send.", "The amount is missing." } do
  yes(expect.asks(), run(answer))
end
no(expect.asks(), run "I sent 20 euros.")
no(expect.asks("amount"), run "Which one?")
no(expect.asks(), run("How much?", { calls = calls }))

print(n .. " checks judged rightly")
