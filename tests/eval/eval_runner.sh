#!/bin/sh
# If this fails, `hearth eval` measures something else than it says: a task that failed, hung or crashed is lost or ends the suite, a
# report does not hold what happened, or a wrong task file is run as if it were right. Runs tiny tasks on the built-in model.
. "$(dirname "$0")/../cli/lib.sh"
export TMPDIR="$T" # where what failed is kept
said() { # said TEXT: it stands in what the last command printed
    cp "$T/out" "$T/said"
    expect 0 "$1" cat "$T/said"
    cp "$T/said" "$T/out"
}
task() { # task NAME FIELDS: a task whose model says next to nothing
    mkdir -p "$(dirname "$T/suite/$1")"
    printf 'return { turns = { "Hello" }, tools = {}, limits = { tokens = 60 }, %s }\n' "$2" >"$T/suite/$1.lua"
}
ok='check = function() return true end'

task good/yes "kind = 'good', $ok, replies = { 'Hi.' }"
task good/file "kind = 'good', files = { ['a/b.txt'] = 'x' },
  check = function(run) return run.files['a/b.txt'] == 'x' and run.answer ~= '' and #run.turns == 1 end"
task bad/no "kind = 'bad', check = function() return nil, 'the colour is <red> & \"blue\"' end"
task bad/silent "kind = 'bad', check = function() end"
task bad/raises "kind = 'bad', check = function(run) return run.nothing.at.all end"
task bad/odd "kind = 'bad', check = function(run) return 'fine' end"
task bad/budget "kind = 'bad', turns = { ('so '):rep(9000) }, $ok"
task bad/missing-tool "kind = 'bad', tools = { 'fly' }, $ok"

# ---- a run with all that can happen
expect 1 '2 of 8 tasks passed' "$hearth" eval "$T/suite"
cp "$T/out" "$T/table"
expect 0 'bad/no: failed: the colour is <red> & "blue"' cat "$T/table"
expect 0 'bad/silent: failed: the check says no' cat "$T/table"
expect 0 'bad/raises: error: the check: ' cat "$T/table"
expect 0 'bad/odd: error: the check: expected it to return true, or nil and the reason; found string' cat "$T/table"
expect 0 'bad/budget: error: the prompt is' cat "$T/table"
expect 0 'there is no tool `fly`' cat "$T/table"
expect 0 'all                               8   25.0 %  [7.1, 59.1]' cat "$T/table"
# What failed can be looked at by the command that was told.
inspect=$(sed -n "s|^ *\(hearth inspect --store .*bad\.no/hearth\.db\)\$|\1|p" "$T/table")
store=${inspect##* }
expect 0 '> Hello' "$hearth" inspect --store "$store"

# ---- reports
expect 1 '' "$hearth" eval --json --jobs 2 --junit "$T/report.xml" "$T/suite"
grep -v '^{"error"' "$T/out" >"$T/before.json"
expect 0 '<testsuite name="hearth eval" tests="8" failures="2" errors="4"' cat "$T/report.xml"
expect 0 'message="the colour is &lt;red&gt; &amp; &quot;blue&quot;"/>' cat "$T/report.xml"
expect 0 '"rate": 0.25' cat "$T/before.json"
expect 0 '"digest": "' cat "$T/before.json"
task bad/no "kind = 'bad', $ok"
task good/yes "kind = 'good', check = function() return false, 'not any more' end, replies = { 'Hi.' }"
task bad/odd "kind = 'bad', $ok"
expect 0 '' "$hearth" eval --json --min-rate 0.3 --keep "$T/kept" "$T/suite"
cp "$T/out" "$T/after.json"
expect 0 '2 better, 1 worse, 5 the same' "$hearth" eval --compare "$T/before.json" "$T/after.json"
said 'p = 1'
expect 0 '"id": "good/yes"' "$hearth" eval --json --compare "$T/before.json" "$T/after.json"
[ -f "$T/kept/good.file/workspace/a/b.txt" ] && [ -f "$T/kept/bad.no/hearth.db" ] || { echo "FAILED: --keep"; failed=$((failed + 1)); }
expect 3 'field `tasks`' sh -c "echo '{}' >'$T/none.json'; exec '$hearth' eval --compare '$T/none.json' '$T/after.json'"
expect 3 'broken.json: line 1' sh -c "echo '[1 2]' >'$T/broken.json'; exec '$hearth' eval --compare '$T/broken.json' '$T/after.json'"
expect 2 'expected two reports, found 1' "$hearth" eval --compare "$T/before.json"

# ---- choosing, repeating, the share asked for
expect 0 'good/file' "$hearth" eval --filter 'good/f*' "$T/suite"
expect 0 '100.0 %' "$hearth" eval --filter file "$T/suite"
expect 2 'no task'"'"'s name or kind matches `blue`' "$hearth" eval --filter blue "$T/suite"
expect 0 '3/3' "$hearth" eval --repeat 3 --jobs 2 --temperature 0.8 --seed 7 "$T/suite/good/file.lua"
expect 1 '0 of 1 tasks passed (0.0 %; at least 100.0 % asked for)' "$hearth" eval --keep "$T/kept2" "$T/suite/good/yes.lua"
expect 0 '' "$hearth" eval --min-rate 0 --keep "$T/kept3" "$T/suite/good/yes.lua"
expect 2 '--keep: ' "$hearth" eval --keep "$T/kept3" "$T/suite/good/yes.lua"
expect 2 '--min-rate: expected 0 to 1' "$hearth" eval --min-rate 80 "$T/suite"
expect 2 '--jobs: expected 1 to 256' "$hearth" eval --jobs 0 "$T/suite"
expect 3 'nowhere' "$hearth" eval --model "$T/nowhere" "$T/suite"
expect 2 'no option --store' "$hearth" eval --store "$T/x.db" "$T/suite"

# ---- time, crashes, Ctrl-C: the suite goes on, and ends
mkdir "$T/slow"
printf 'return { kind = "slow", turns = { "Hello" }, tools = {}, limits = { tokens = 60 },\n check = function() while true do end end }\n' >"$T/slow/a-hangs.lua"
cp "$T/suite/good/file.lua" "$T/slow/b-next.lua"
expect 1 'a-hangs: timeout: longer than 2 seconds' "$hearth" eval --timeout 2 --keep "$T/kept4" "$T/slow"
said '1 of 2 tasks passed'

if [ -r /proc/$$/task/$$/children ]; then # the kernel tells children
    "$hearth" eval --keep "$T/kept5" "$T/slow" >"$T/out" 2>&1 &
    pool=$!
    tries=0
    while [ ! -f "$T/kept5/a-hangs/hearth.db" ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -9 $(cat "/proc/$pool/task/$pool/children")
    wait $pool
    said 'a-hangs: crashed: the process that ran it ended: killed by signal 9'
    said '1 of 2 tasks passed'
fi

"$hearth" eval --keep "$T/kept6" "$T/slow" >"$T/out" 2>&1 &
pool=$!
tries=0
while [ ! -f "$T/kept6/a-hangs/hearth.db" ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -INT $pool
wait $pool
code=$?
[ "$code" -eq 130 ] || { echo "FAILED: exit code $code after Ctrl-C"; failed=$((failed + 1)); }
said 'hearth: cancelled'
said '2 runs were not made'

# ---- wrong task files: file, field, what was expected; nothing is run
wrong() { # wrong TEXT LUA
    rm -rf "$T/wrong"
    mkdir "$T/wrong"
    printf '%s\n' "$2" >"$T/wrong/t.lua"
    expect 3 "$1" "$hearth" eval "$T/wrong"
    said "t.lua"
}
wrong 'field `turns` is missing: expected a list' 'return { kind = "x", check = print }'
wrong 'field `check` is missing' 'return { kind = "x", turns = { "a" } }'
wrong 'field `check`: expected a function' 'return { kind = "x", turns = { "a" }, check = true }'
wrong 'there is no field `turn`' 'return { kind = "x", turn = { "a" }, check = print }'
wrong 'field `turns`: expected a list of what the user says' 'return { kind = "x", turns = { { sya = "a" } }, check = print }'
wrong 'field `turns`' 'return { kind = "x", turns = {}, check = print }'
wrong 'field `files`: expected a table of path = text, found {"a":1}' 'return { kind = "x", turns = { "a" }, files = { a = 1 }, check = print }'
wrong 'reply 2: expected text, a call' 'return { kind = "x", turns = { "a" }, check = print, replies = { "a", 7 } }'
wrong 'expected it to return a table' 'return 7'
wrong 'has no JSON form' 'return { kind = "x", turns = { "a" }, check = print, files = { a = print } }'
wrong 't.lua:' 'return {{'
wrong 't.lua:1: boom' 'error("boom")'
wrong 'there are no agents here' 'require "hearth"'
wrong 'this took too long' 'while true do end'
rm -rf "$T/wrong" && mkdir "$T/wrong"
expect 3 'holds no task' "$hearth" eval "$T/wrong"
expect 3 'nowhere: there is no such file' "$hearth" eval "$T/nowhere"
cp "$T/suite/good/yes.lua" "$T/wrong/a b.lua"
expect 3 'expected the name of a task to be of letters' "$hearth" eval "$T/wrong"
expect 3 'two tasks of the name `file`' "$hearth" eval "$T/suite/good" "$T/suite/good/file.lua"
printf 'return { kind = "x", turns = { "a" }, check = print, files = { ["../a"] = "x" } }\n' >"$T/wrong.lua"
expect 1 'expected a path inside the workspace' "$hearth" eval --keep "$T/kept7" "$T/wrong.lua"
[ ! -e "$T/kept7/wrong/a" ] || failed=$((failed + 1))

# ---- --check: silence must fail, the replies must pass, through the real tools
rm -rf "$T/check" && mkdir "$T/check"
check() { # check CODE TEXT LUA
    printf '%s\n' "$3" >"$T/check/t.lua"
    expect "$1" "$2" "$hearth" eval --check "$T/check"
}
list='kind = "x", turns = { "a" }, files = { ["f.txt"] = "x" }, tools = { "read_file", "write_file" }'
check 0 '1 task, 0 wrong' "return { $list, check = function(run) return run.calls[1] and run.calls[1].result == 'x' end,
  replies = { { 'read_file', { path = 'f.txt' } }, 'It says x.' } }"
check 0 '1 task, 0 wrong' "return { $list, check = function(run) return run.files['g.txt'] == 'y' and #run.calls == 2 end,
  replies = { { { 'write_file', { content = 'y', path = 'g.txt' } }, { 'read_file', { path = 'f.txt' } } }, 'Done.' } }"
check 3 'passes an agent that says and does nothing' "return { $list, check = function() return true end, replies = { 'a' } }"
check 3 'cannot judge an agent that says and does nothing' "return { $list, check = function(run) return run.calls[1].ok end,
  replies = { { 'read_file', { path = 'f.txt' } }, 'a' } }"
check 3 'its own replies do not pass: a reason' "return { $list, check = function() return nil, 'a reason' end, replies = { 'a' } }"
check 3 'the task has no `replies`' "return { $list, check = function() end }"
check 3 'calls `fly`, which is not offered' "return { $list, check = function(run) return run.answer ~= '' end, replies = { { 'fly', {} }, 'a' } }"
check 3 'the grammar does not allow it' "return { $list, check = function(run) return run.answer ~= '' end, replies = { { 'read_file', { path = 7 } }, 'a' } }"
check 3 'replies are used up' "return { $list, check = function(run) return run.answer ~= '' end, replies = { { 'read_file', { path = 'f.txt' } } } }"
check 3 '1 of the replies were not asked for' "return { $list, check = function(run) return run.answer ~= '' end, replies = { 'a', 'b' } }"

# ---- function-calling files
expect 1 'irrelevance' "$hearth" eval --bfcl --tool-choice required "$here/irrelevance.jsonl"
said 'expected no call, found'
expect 0 '4 questions' "$hearth" eval --check --bfcl "$here/questions.jsonl" "$here/answers.jsonl"
expect 0 'live_simple_3-1-0' "$hearth" eval --min-rate 0 --bfcl "$here/questions.jsonl" "$here/answers.jsonl"
expect 3 'there is no answer to the question' "$hearth" eval --bfcl "$here/questions.jsonl"
expect 2 '--tool-choice: expected auto or required' "$hearth" eval --bfcl --tool-choice maybe "$here/irrelevance.jsonl"
expect 2 'expected QUESTIONS [ANSWERS]' "$hearth" eval --bfcl a b c

finish
