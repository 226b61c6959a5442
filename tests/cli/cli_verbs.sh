#!/bin/sh
# If this fails, a verb of the README does not do what the README says.
. "$(dirname "$0")/lib.sh"
export HOME="$T"

for v in run chat 'tool ls' 'tool run' 'tool new' 'tool test' 'session ls' 'session show' 'memory search' inspect 'model info' \
    'model quantize' doctor 'bench decode' 'bench tool' 'bench mask'; do
    expect 0 "usage: hearth $v" "$hearth" $v --help
done
expect 0 'usage: hearth VERB' "$hearth" --help
expect 0 'hearth 0' "$hearth" --version

expect 0 'sandbox' "$hearth" doctor
expect 0 '"ok": true' "$hearth" doctor --json
expect 0 'qwen3' "$hearth" model info
expect 0 '"architecture": "qwen3"' "$hearth" model info --json

for t in read_file write_file list_files search_files calculate csv_query now remember recall; do
    expect 0 "$t" "$hearth" tool ls
done
expect 0 '"sha256"' "$hearth" tool ls --json
expect 0 '14' "$hearth" tool run calculate '{"expression": "2 * (3 + 4)"}'

expect 0 'word_count.lua' "$hearth" tool new word_count "$T/mytools"
expect 3 'exists already' "$hearth" tool new word_count "$T/mytools"
expect 2 'expected a name' "$hearth" tool new '../x' "$T/mytools"
expect 0 '2 passed, 0 failed' "$hearth" tool test "$T/mytools/word_count.lua"
expect 0 '"passed": 2' "$hearth" tool test --json "$T/mytools/word_count_test.lua"
sed -i 's/expect = "3"/expect = "4"/' "$T/mytools/word_count_test.lua"
expect 1 'expected `4`, got `3`' "$hearth" tool test "$T/mytools/word_count.lua"
expect 0 '3' "$hearth" tool run --tools "$T/mytools" word_count '{"text": "one two three"}'

expect 0 '5' "$hearth" chat --tool calculate "How much is 2 + 3?"
expect 0 'How much is 2 + 3?' "$hearth" session ls
expect 0 '"agent": "default"' "$hearth" session ls --json
expect 0 'calculate' "$hearth" session show 1
expect 0 'calculate' "$hearth" inspect
expect 0 '"state": "done"' "$hearth" inspect --json 1
expect 2 'there is no run 99' "$hearth" inspect 99
expect 2 'there is no session 99' "$hearth" session show 99

# A stop string ends the answer in front of itself.
"$hearth" run --quiet --stop 12. "$root/examples/hello.lua" >"$T/stopped" 2>&1
expect 0 'The total is' cat "$T/stopped"
expect 1 '' grep 12.15 "$T/stopped"

# Remembered in one process, found in another.
expect 0 'remember' "$hearth" chat --tool remember --tool recall "remember that the code is 4711"
expect 0 '4711' "$hearth" memory search "what is the code?"
expect 0 '"words_rank"' "$hearth" memory search --json "code"

# A tool that changes files asks; without a terminal to ask on it is denied, and the file is not there.
mkdir "$T/ws"
"$hearth" chat --workspace "$T/ws" --tool write_file 'save "The total is 12.15." in report.txt' >"$T/out" 2>&1 </dev/null
expect 1 '' test -e "$T/ws/report.txt"
expect 0 'denied' "$hearth" inspect
expect 0 '' "$hearth" chat --workspace "$T/ws" --allow write_file --tool write_file 'save "The total is 12.15." in report.txt'
expect 0 '12.15' cat "$T/ws/report.txt"

# With --json every line of the output is an event.
"$hearth" chat --json --tool calculate "How much is 2 + 3?" >"$T/events" 2>&1
expect 1 "" grep -v "^{\"event\":" "$T/events"
expect 0 "\"event\":\"result\"" cat "$T/events"

# After an install, scripts, model and box are found from there.
if cmake --install "$build" --prefix "$T/inst" >"$T/out" 2>&1; then
    expect 0 'share/hearth/model' "$T/inst/bin/hearth" doctor
    expect 0 '12.15' "$T/inst/bin/hearth" run --quiet "$root/examples/hello.lua"
else
    expect 0 'an install' false
fi
finish
