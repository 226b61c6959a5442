#!/bin/sh
# If this fails, a verb of the README does not do what the README says.
. "$(dirname "$0")/lib.sh"
export HOME="$T"

for v in run chat eval 'tool ls' 'tool run' 'tool new' 'tool test' 'session ls' 'session show' 'memory search' inspect 'model info' \
    'model quantize' 'model render' 'schema check' 'schema validate' 'schema sample' doctor \
    'bench decode' 'bench prefill' 'bench load' 'bench kernel' 'bench sample' 'bench tool' 'bench mask' 'bench agent'; do
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

expect 0 '"kv_type": "fp8_e4m3"' "$hearth" model info --kv fp8 --json
expect 0 'in fp8_e4m3 (context of 500 tokens' "$hearth" model info --kv fp8 --ctx 500
expect 0 'keys and values in fp8_e4m3' "$hearth" bench prefill --kv fp8 --prompt 8 --repeat 1
expect 0 '"peak_extra_host_bytes":' "$hearth" bench load --copy --backend cpu --repeat 1 --json
expect 2 'maps weights and loads nothing' "$hearth" bench load --backend cpu
expect 3 'No such file' "$hearth" bench load --model "$T" --copy --backend cpu
expect 2 'expected 1 to 1000' "$hearth" bench load --repeat 0

# Forced tokens are taken without the model. Where it would have spelt a word in other tokens, an answer may differ; in the
# quickstart none does.
expect 0 '"download_us":' "$hearth" bench sample --backend cpu --n 1000 --repeat 3 --json
expect 2 'expected 1 to 4194304' "$hearth" bench sample --n 0
expect 0 '"passes_forced":' "$hearth" bench agent --repeat 1 --json
expect 0 '"same_text": true' "$hearth" bench agent --script "$root/examples/quickstart.lua" --repeat 1 --json
expect 3 'nothere.lua' "$hearth" bench agent --script "$T/nothere.lua"
expect 2 'expected 1 to 1000' "$hearth" bench agent --repeat 0

# A stop string ends the answer in front of itself.
"$hearth" run --quiet --stop 12. "$root/examples/hello.lua" >"$T/stopped" 2>&1
expect 0 'The total is' cat "$T/stopped"
expect 1 '' grep 12.15 "$T/stopped"

# A turn calls tools as it is told to.
"$hearth" chat --json --tool calculate --tool-choice none "How much is 45.5 + 210?" >"$T/none" 2>&1
expect 1 '' grep '"event":"call"' "$T/none"
"$hearth" chat --json --tool calculate --tool recall --tool-choice recall "Hello!" >"$T/named" 2>&1
expect 0 '"tool":"recall"' grep -m1 '"event":"call"' "$T/named"

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

# Schemas: what is enforced, random documents of one, and whether documents satisfy it.
cat >"$T/person.json" <<'JSON'
{"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0}},
 "required": ["name"], "additionalProperties": false, "x-note": 1}
JSON
echo '{"name": "Ada", "age": 36}' >"$T/ada.json"
echo '{"name": "Ada", "age": -1}' >"$T/wrong.json"
expect 0 'enforced exactly' "$hearth" schema check "$T/person.json"
expect 0 'ignored  x-note' "$hearth" schema check "$T/person.json" --vocab bytes --spacing python
expect 0 '"enforceable": true' "$hearth" schema check --json "$T/person.json"
expect 0 'ada.json: valid' "$hearth" schema validate "$T/person.json" "$T/ada.json"
expect 1 'wrong.json: /age: must be at least 0 (schema: #/properties/age/minimum)' \
    "$hearth" schema validate "$T/person.json" "$T/ada.json" "$T/wrong.json"
expect 1 '1 of 2 documents do not satisfy' "$hearth" schema validate "$T/person.json" "$T/ada.json" "$T/wrong.json"
"$hearth" schema validate --json "$T/person.json" "$T/wrong.json" >"$T/said" 2>"$T/err"
expect 0 '"schema": "/properties/age/minimum"' cat "$T/said"
expect 0 '"code":1' cat "$T/err"
expect 0 '-: valid' sh -c "'$hearth' schema validate '$T/person.json' - <'$T/ada.json'"
echo '{"format": "date"}' >"$T/date.json" && echo '"2024-02-30"' >"$T/day.json"
expect 1 'expected the format date' "$hearth" schema validate "$T/date.json" "$T/day.json"
expect 0 'valid' "$hearth" schema validate --ignore-formats "$T/date.json" "$T/day.json"
echo '{"$ref": "person#/properties/age"}' >"$T/part.json" && sed 's/^{/{"$id": "person", /' "$T/person.json" >"$T/named.json"
expect 1 '(schema: #person#/properties/age/type)' "$hearth" schema validate --with "$T/named.json" "$T/part.json" "$T/day.json"
for how in uniform rarest; do
    for vocab in bytes "$root/engine/builtin-model/tokenizer.json"; do
        "$hearth" schema sample "$T/person.json" --n 20 --seed 7 --how $how --vocab "$vocab" --max-tokens 60 --escapes minimal >"$T/docs" 2>&1
        expect 0 20 grep -c . "$T/docs"
        expect 1 '' grep -v '^{"name":"' "$T/docs"
    done
done
"$hearth" schema sample "$T/person.json" --seed 7 >"$T/docs1" && "$hearth" schema sample "$T/person.json" --seed 7 >"$T/docs2"
expect 0 '' cmp "$T/docs1" "$T/docs2"
expect 0 '{"name":' "$hearth" schema sample "$T/person.json" --n 2 --how model --max-tokens 30 --escapes minimal
echo '{"type":"string","minlength":3,"patern":"x","title":"t"}' >"$T/near.json"
expect 0 'note: minlength is no keyword; was minLength meant?' "$hearth" schema check "$T/near.json"
expect 0 '"patern": "pattern"' "$hearth" schema check --json "$T/near.json"
printf 'root ::= sum ("\\n" sum)*\nsum ::= sum [+-] term | term\nterm ::= [0-9]{1,3} | "(" sum ")"\n' >"$T/sums.ebnf"
printf '[A-Z]{3}-[0-9]+\n' >"$T/code.regex"
printf '{"type":"tag","begin":"<a>","content":{"type":"json_schema","json_schema":{"const":true}},"end":"</a>"}' >"$T/a.tags"
expect 0 'enforced exactly' "$hearth" schema check --kind ebnf "$T/sums.ebnf"
expect 0 '"enforceable": true' "$hearth" schema check --kind regex --json "$T/code.regex"
expect 0 '<a>true</a>' "$hearth" schema sample --kind tags "$T/a.tags" --n 1
"$hearth" schema sample --kind regex "$T/code.regex" --n 20 --max-tokens 20 >"$T/docs"
expect 0 20 grep -cE '^[A-Z]{3}-[0-9]+$' "$T/docs"
"$hearth" schema sample --kind ebnf "$T/sums.ebnf" --n 20 --max-tokens 20 --vocab bytes >"$T/docs"
expect 1 '' grep -vE '^[-0-9+()]+$' "$T/docs"
cat >"$T/ask.lua" <<'END'
local agent = require("hearth").agent { tools = {} }
print(agent:run("the code?", { regex = "ABC-[0-9]{2}" }).answer)
local ok, why = pcall(agent.run, agent, "x", { regex = "a", grammar = "root = 'a'" })
assert(not ok and why:find("one of schema, regex, grammar, tags", 1, true), why)
ok, why = pcall(agent.run, agent, "x", { grammar = "root = 'a" })
assert(not ok and why:find("1:8: a text without its closing", 1, true), why)
ok, why = pcall(agent.run, agent, "x", { tags = { type = "any" } })
assert(not ok and why:find("there is no type `any`", 1, true), why)
END
expect 0 'ABC-' "$hearth" run --quiet "$T/ask.lua"
printf '{"id":"a","schema":{"type":"boolean"}}\n{"id":"b","schema":{"$ref":"http://x"}}\n' >"$T/many.jsonl"
expect 0 '{"id":"a","docs":[' "$hearth" schema sample --data "$T/many.jsonl" --n 3
expect 0 '{"id":"b","docs":[],"failures":[],"unjudged":0,"error":"' "$hearth" schema sample --data "$T/many.jsonl" --n 3

# After an install, scripts, model and box are found from there.
if cmake --install "$build" --prefix "$T/inst" >"$T/out" 2>&1; then
    expect 0 'share/hearth/model' "$T/inst/bin/hearth" doctor
    expect 0 '12.15' "$T/inst/bin/hearth" run --quiet "$root/examples/hello.lua"
else
    expect 0 'an install' false
fi
finish
