#!/bin/sh
# If this fails, a wrong input gets a crash, a silent success, or a message that does not name the thing. Each line below is one
# mistake a person or a broken file can make.
. "$(dirname "$0")/lib.sh"
mkdir "$T/ws"
echo "hello" >"$T/ws/a.txt"
byte=$(printf '\377') # never part of UTF-8

# ---- command line
expect 2 'there is no verb `fly`' "$hearth" fly
expect 2 'no option --colour' "$hearth" run --colour red x.lua
expect 2 '--steps: expected a whole number, found `many`' "$hearth" run --steps many x.lua
expect 2 '--model: expected DIR behind it' "$hearth" doctor --model
expect 2 'expected SCRIPT' "$hearth" run
expect 2 'tool ls' "$hearth" tool
expect 2 'expected the number of a run, found `x`' "$hearth" inspect x
expect 2 '"code":2' "$hearth" inspect --json x
expect 2 '"code":2' "$hearth" run --json --steps many x.lua
expect 2 '"code":2' "$hearth" run --steps many --json x.lua
expect 2 '"code":2' "$hearth" fly --json
expect 2 '--name: `' "$hearth" chat --name "$byte" hello
expect 2 '--tool: `' "$hearth" chat --tool "$byte" hello
expect 2 '--system: `' "$hearth" chat --system "$byte" hello
expect 3 '"code":3' "$hearth" run --json "$byte.lua"
expect 2 '--temperature: expected a number, found `nan`' "$hearth" chat --temperature nan hello
expect 2 '--steps: expected a whole number from 0 to 2147483647, found 4294967297' "$hearth" chat --steps 4294967297 hello
expect 2 '--limit: expected 1 to 1000000, found -1' "$hearth" session ls --limit -1
expect 2 'backend: expected cuda, cpu, ref, cpu-avx2 or cpu-plain, found "tpu"' "$hearth" chat --backend tpu hello
expect 2 'backend: expected cuda, cpu, ref, cpu-avx2 or cpu-plain, found "tpu"' "$hearth" bench decode --backend tpu --shape llama-3.1-8b
expect 2 'kv: backend cpu has f32, bf16 and fp8, found "fp16"' "$hearth" chat --backend cpu --kv fp16 hello
expect 2 'gpt-oss-120b, llama-3.3-70b, found "gpt-oss-21b"' "$hearth" bench decode --shape gpt-oss-21b
expect 2 'kv: backend cpu has f32, bf16 and fp8, found "q8"' "$hearth" bench decode --backend cpu --kv q8 --shape llama-3.1-8b
expect 2 'kv: backend ref has f32, bf16 and fp8, found "fp4"' "$hearth" model info --backend ref --kv fp4
if ! nm "$hearth" 2>/dev/null | grep -q ' k_cuda$'; then
    expect 2 'this build is without CUDA' "$hearth" chat --backend cuda hello
fi
expect 2 '--k: expected 1 to 1000000, found 4294967297' "$hearth" memory search --k 4294967297 x
expect 2 '--model: expected DIR, found an empty text' "$hearth" chat --model '' hello
expect 3 'policy: deny: there is no tool `write_fil`' "$hearth" chat --deny write_fil hello
expect 7 'standard input' sh -c "exec '$hearth' chat <'$T'"
expect 130 'cancelled' sh -c "sleep 3 | timeout --foreground --preserve-status -s INT 1 '$hearth' chat --tool calculate"
expect 3 'zero byte' sh -c "printf 'a\\0b\\n' | '$hearth' chat --tool calculate"

expect 3 'stop: expected texts, found an empty one' "$hearth" chat --stop '' hello

# ---- scripts
expect 3 'nowhere.lua: no such script' "$hearth" run "$T/nowhere.lua"
printf 'local x = = 3\n' >"$T/syntax.lua"
expect 3 'syntax.lua:1:' "$hearth" run "$T/syntax.lua"
printf 'local t = nil\nprint(t.x)\n' >"$T/bug.lua"
expect 1 'bug.lua:2:' "$hearth" run "$T/bug.lua"
printf '\033Lua' >"$T/bytecode.lua"
expect 3 'binary chunk' "$hearth" run "$T/bytecode.lua"
printf 'require "hearth".agent { nmae = "x" }\n' >"$T/field.lua"
expect 3 'there is no field `nmae`' "$hearth" run "$T/field.lua"
for spec in '{ "x" }' '"x"'; do
    printf 'require "hearth".agent(%s)\n' "$spec" >"$T/spec.lua"
    expect 3 'expected a table of named fields' "$hearth" run "$T/spec.lua"
done
for call in 'run(nil)' 'run("x", 7)' 'run("x", { shema = {} })' 'recall("x", 1 << 33)'; do
    printf 'local a = require "hearth".agent { tools = {} }\na:%s\n' "$call" >"$T/call.lua"
    "$hearth" run "$T/call.lua" >"$T/said" 2>&1
    expect 0 'call.lua:2: ' cat "$T/said"
done
for choice in '"always"' '{ nmae = "calculate" }' '{}' 7; do
    printf 'require "hearth".agent { tool_choice = %s }\n' "$choice" >"$T/choice.lua"
    expect 3 'field `tool_choice`: expected "auto", "none", "required" or a table' "$hearth" run "$T/choice.lua"
    printf 'local a = require "hearth".agent { tools = { "calculate" } }\na:run("x", { tool_choice = %s })\n' "$choice" \
        >"$T/choice.lua"
    expect 3 'choice.lua:2: tool_choice: expected "auto", "none", "required" or a table' "$hearth" run "$T/choice.lua"
done
expect 3 'no tool `teapot` is offered; there are: calculate' "$hearth" chat --tool calculate --tool-choice teapot hello
printf 'require "hearth".agent { tools = {}, tool_choice = "required" }\n' >"$T/choice.lua"
expect 3 'no tools are offered' "$hearth" run "$T/choice.lua"
printf 'require "hearth".agent { policy = { read_file = "maybe" } }\n' >"$T/policy.lua"
expect 3 'field `policy`' "$hearth" run "$T/policy.lua"
printf 'require "hearth".agent { tools = { "fly_to_moon" } }\n' >"$T/toolname.lua"
expect 3 'there is no tool `fly_to_moon`' "$hearth" run "$T/toolname.lua"
expect 3 'a folder; expected a Lua script' "$hearth" run "$T"
printf 'require "hearth".fresh_workspace "/"\n' >"$T/all.lua"
expect 3 'does not hold the store' "$hearth" run "$T/all.lua"
printf 'require "hearth".agent { session = 4711 }\n' >"$T/session.lua"
expect 2 'there is no session 4711' "$hearth" run "$T/session.lua"
printf 'error(setmetatable({}, { __tostring = function() error("x") end }))\n' >"$T/raises.lua"
expect 1 'raises.lua:1: x' "$hearth" run "$T/raises.lua"
cat >"$T/texts.lua" <<'LUA'
local a = require "hearth".agent { tools = {} }
for _, f in ipairs { function() a:run("a\0b") end, function() a:remember("a\0b") end, function() a:remember("a\xff") end } do
  local ok, why = pcall(f)
  print(ok, why)
end
LUA
expect 0 'texts.lua:2: expected text, found a zero byte at 1' "$hearth" run "$T/texts.lua"
expect 0 'not valid UTF-8 at byte 1' "$hearth" run "$T/texts.lua"
printf 'print(io, os.execute, package, debug, dofile)\n' >"$T/gone.lua"
expect 0 'nil	nil	nil	nil	nil' "$hearth" run "$T/gone.lua"
expect 3 '/nowhere' "$hearth" chat --workspace /nowhere hello
# Words that do not fit are refused, and the conversation is as good as before.
head -c 1000000 /dev/zero | tr '\0' 'a' >"$T/big.txt"
expect 0 '5' "$hearth" chat --tool calculate "How much is 2 + 3?"
expect 6 'context holds' sh -c "exec '$hearth' chat --tool calculate --session last <'$T/big.txt'"
expect 0 '5' "$hearth" chat --tool calculate --session last "How much is 2 + 3?"
expect 6 'context holds 64' "$hearth" chat --ctx 64 --tool calculate "how much is 2 + 3"

# ---- tools
mkdir "$T/tools"
tool() { # NAME BODY-OF-RUN
    cat >"$T/tools/$1.lua" <<LUA
return { name = "$1", description = "d", parameters = { type = "object", properties = { n = { type = "integer" } } },
  effect = "pure", capabilities = {}, limits = { wall_ms = 700, cpu_ms = 500, memory_mb = 32, output_kb = 64 },
  run = function(args, ctx) $2 end }
LUA
}
tool spin 'while true do end'
tool greedy 'local t = {} for i = 1, 1e10 do t[i] = ("x"):rep(1000000) .. i end'
tool flood 'return ("x"):rep(1000000)'
tool long 'return ("x"):rep(100000)'
tool raises 'error("the kettle is cold")'
tool function_value 'return { f = print }'
tool not_utf8 'return "\xff\xfe"'
tool fine 'return "n is " .. tostring(args.n)'
run="$hearth tool run --tools $T/tools"
expect 0 'n is 7' $run fine '{"n": 7}'
expect 1 'spin was stopped' $run spin
expect 1 'greedy was stopped' $run greedy
expect 1 'the kettle is cold' $run raises
expect 1 'function' $run function_value
expect 1 'UTF-8' $run not_utf8
expect 1 'larger than' $run flood
expect 0 'truncated' $run long
expect 2 'there is no tool `teapot`' $run teapot
expect 2 'expected a JSON object' $run fine '[1]'
expect 2 'expected a JSON object' $run fine '{"n": '
expect 1 'n' $run fine '{"n": "seven"}'
expect 1 'no such file' "$hearth" tool run --workspace "$T/ws" read_file '{"path": "b.txt"}'
expect 3 '/nowhere' "$hearth" tool run --workspace /nowhere read_file '{"path": "b.txt"}'
mkdir "$T/bad1" "$T/bad2" "$T/bad3"
printf 'return { name = "x", \n' >"$T/bad1/x.lua"
expect 3 'x.lua' "$hearth" tool ls --tools "$T/bad1"
printf 'return { name = "x", description = "d", run = function() end, colour = "red" }\n' >"$T/bad2/x.lua"
expect 3 'colour' "$hearth" tool ls --tools "$T/bad2"
printf 'return { name = "x y", description = "d", parameters = { type = "object" }, effect = "pure", capabilities = {}, run = function() end }\n' >"$T/bad3/x.lua"
expect 3 'name' "$hearth" tool ls --tools "$T/bad3"
expect 3 '/nowhere' "$hearth" tool ls --tools /nowhere

# ---- the mask bench
echo '{"id":"a","origin":"o","schema":{"type":"integer"},"tests":[{"valid":true,"data":1},{"valid":false,"data":"x"}]}' >"$T/data.jsonl"
mask="$hearth bench mask --data"
expect 0 '"passed": 1' $mask "$T/data.jsonl" --json
expect 0 '"end_wrong": 0' $mask "$T/data.jsonl" --json --mode strict
echo '{"id":"a","origin":"o","schema":{"type":["boolean","null"]},"tests":[{"valid":true,"data":true},{"valid":false,"data":1}]}' >"$T/flags.jsonl"
for expected in '"passed": 1' '"valid_rejected": 0' '"invalid_accepted": 0' '"check_failures": 0'; do
    expect 0 "$expected" $mask "$T/flags.jsonl" --json --mode adversarial
done
xz -k "$T/data.jsonl" && expect 0 '"passed": 1' $mask "$T/data.jsonl.xz" --json
xz -dc "$T/data.jsonl.xz" >/dev/null && head -c 90 "$T/data.jsonl.xz" >"$T/cut.xz"
expect 3 'cut.xz: expected an xz file' $mask "$T/cut.xz"
expect 2 '--data: expected a file' "$hearth" bench mask
expect 2 '--mode: expected' $mask "$T/data.jsonl" --mode fast
expect 2 '--tokens: the adversarial mode' $mask "$T/data.jsonl" --mode adversarial --tokens "$T/data.jsonl"
expect 2 '--vocab: expected a tokenizer.json' $mask "$T/data.jsonl" --vocab bytes
expect 2 '--max: expected 0 or more, found -1' $mask "$T/data.jsonl" --max -1
expect 3 '/nowhere' $mask /nowhere
expect 3 'expected a file, found a folder' $mask "$T"
echo '{"id": "a"}' >"$T/noschema.jsonl"
expect 3 'noschema.jsonl:1: expected {schema, tests}: no schema' $mask "$T/noschema.jsonl"
tokens="$mask $T/data.jsonl --tokens $T/tokens.jsonl"
echo '{"id":"b","t":[]}' >"$T/tokens.jsonl"
expect 3 'expected the ids of a behind' $tokens
echo '{"id":"a","t":[{"py":[1],"compact":[1]}]}' >"$T/tokens.jsonl"
expect 3 'tokens.jsonl:1: expected the ids of 2 tests of a, found 1' $tokens
echo '{"id":"a","t":[{"py":[1],"compact":[1]},{"py":[1]}]}' >"$T/tokens.jsonl"
expect 3 'a: expected {py, compact}' $tokens
echo '{"id":"a","t":[{"py":[1],"compact":[1]},{"py":[-1],"compact":[]}]}' >"$T/tokens.jsonl"
expect 3 'expected ids from 0 to' $tokens

# ---- schemas
echo '{"type": "object"}' >"$T/schema.json"
echo '{"type": "object", "type": "array"}' >"$T/twice.json"
echo '{"a": 1' >"$T/cut.json"
echo '[1]' >"$T/list.json"
for v in 'schema check' 'schema sample' 'schema validate'; do
    expect 3 '/nowhere' "$hearth" $v /nowhere $(test "$v" = 'schema validate' && echo "$T/schema.json")
    expect 3 'cut.json:2:0: expected a JSON document' "$hearth" $v "$T/cut.json" $(test "$v" = 'schema validate' && echo "$T/schema.json")
done
expect 3 'duplicate object key' "$hearth" schema check "$T/twice.json"
expect 2 'expected FILE DOC...' "$hearth" schema validate "$T/schema.json"
expect 3 'list.json: schema: expected an object, true or false, found array' "$hearth" schema validate "$T/list.json" "$T/schema.json"
expect 3 'cut.json:2:0' "$hearth" schema validate "$T/schema.json" "$T/cut.json"
echo '{"properties": {"a": {"$ref": "http://x/y"}}}' >"$T/remote.json"
echo '{"a": 1}' >"$T/a.json"
expect 3 'remote.json: #/properties/a/$ref: http://x/y leads out of the schema' "$hearth" schema validate "$T/remote.json" "$T/a.json"
expect 1 'cannot be enforced: schema: #/properties/a/$ref' "$hearth" schema check "$T/remote.json"
"$hearth" schema check --json "$T/remote.json" >"$T/said" 2>/dev/null
expect 0 '"pointer": "#/properties/a/$ref"' cat "$T/said"
expect 3 'expected a schema that has an $id' "$hearth" schema validate --with "$T/schema.json" "$T/schema.json" "$T/a.json"
printf 'root = a' >"$T/open.ebnf"
printf '(' >"$T/open.regex"
echo '{"type": "tag"}' >"$T/open.tags"
expect 1 'grammar: 1:8: there is no rule a' "$hearth" schema check --kind ebnf "$T/open.ebnf"
expect 1 'regex: a group has no )' "$hearth" schema check --kind regex "$T/open.regex"
expect 1 'tags: #: there is no `begin`, a text' "$hearth" schema check --kind tags "$T/open.tags"
expect 3 'there is no rule a' "$hearth" schema sample --kind ebnf "$T/open.ebnf"
expect 2 '--kind: expected schema, regex, ebnf or tags; found `bnf`' "$hearth" schema check --kind bnf "$T/open.ebnf"
expect 3 'expected a JSON document' "$hearth" schema check --kind tags "$T/open.ebnf"
expect 3 '/nowhere' "$hearth" schema sample --kind regex /nowhere
expect 2 'the lines of --data hold schemas' "$hearth" schema sample --kind regex --data "$T/open.regex"
expect 2 '--spacing: expected one of compact, python, flexible; found `wide`' "$hearth" schema check --spacing wide "$T/schema.json"
expect 2 '--order: expected one of' "$hearth" schema sample --order none "$T/schema.json"
expect 2 '--escapes: expected one of' "$hearth" schema sample --escapes none "$T/schema.json"
expect 2 '--how: expected uniform, rarest or model' "$hearth" schema sample --how best "$T/schema.json"
expect 2 '--n: expected 1 to' "$hearth" schema sample --n 0 "$T/schema.json"
expect 2 '--max-tokens: expected 1 to' "$hearth" schema sample --max-tokens 0 "$T/schema.json"
expect 2 'expected a FILE or --data FILE' "$hearth" schema sample
expect 2 'expected a FILE or --data FILE' "$hearth" schema sample --data "$T/data.jsonl" "$T/schema.json"
expect 2 '--vocab: a model brings its own' "$hearth" schema sample --how model --vocab bytes "$T/schema.json"
expect 3 'noschema.jsonl:1: expected {id, schema}: no schema' "$hearth" schema sample --data "$T/noschema.jsonl"
expect 3 '/nowhere' "$hearth" schema check --vocab /nowhere "$T/schema.json"

# ---- models
model() { # NAME: a copy of the built-in model to break
    cp -r "$root/engine/builtin-model" "$T/$1"
    chmod -R u+w "$T/$1"
}
expect 3 '/nowhere' "$hearth" model info /nowhere
mkdir "$T/empty"
expect 3 'config.json' "$hearth" model info "$T/empty"
model missing
rm "$T"/missing/*.safetensors
expect 3 'safetensors' "$hearth" model info "$T/missing"
model cut
f=$(ls "$T"/cut/*.safetensors | head -1)
head -c 1000000 "$f" >"$T/half" && mv "$T/half" "$f"
expect 3 'safetensors' "$hearth" model info "$T/cut"
model claims
f=$(ls "$T"/claims/*.safetensors | head -1)
printf '\377\377\377\377\377\377\377\017' | dd of="$f" conv=notrunc 2>/dev/null
expect 3 'header' "$hearth" model info "$T/claims"
model dtype
f=$(ls "$T"/dtype/*.safetensors | head -1)
sed -i '1s/"F8_E4M3"/"F8_E5M2"/' "$f"
expect 3 'F8_E5M2' "$hearth" model info "$T/dtype"
model tokens
head -c 3000 "$T/tokens/tokenizer.json" >"$T/half" && mv "$T/half" "$T/tokens/tokenizer.json"
expect 3 'tokenizer.json' "$hearth" model info "$T/tokens"
model config
sed -i 's/"Qwen3ForCausalLM"/"GrokForCausalLM"/; s/"model_type": "qwen3"/"model_type": "grok"/' "$T/config/config.json"
expect 3 'config.json' "$hearth" model info "$T/config"
model shape
sed -i 's/"intermediate_size": 1024/"intermediate_size": 1040/' "$T/shape/config.json"
expect 3 '1040' "$hearth" model info "$T/shape"
model template
sed -i 's/"chat_template": "/"chat_template": "{% include \\"x\\" %}/' "$T/template/tokenizer_config.json"
expect 3 'include' "$hearth" chat --model "$T/template" hello
model no_calls
sed -i 's/"chat_template": ".*"\(,*\)$/"chat_template": "{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content }}<|im_end|>\\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\\n{% endif %}"\1/' "$T/no_calls/tokenizer_config.json"
expect 0 'no tools are offered' "$hearth" chat --model "$T/no_calls" hello
expect 3 'in no format known here' "$hearth" chat --model "$T/no_calls" --tool calculate hello

# ---- the store
expect 5 'no such file' "$hearth" session ls --store "$T/none.db"
expect 0 '' "$hearth" chat --tool calculate "how much is 2 + 3"
printf 'not a database, not at all, but long enough to be looked at by someone who cares\n' >"$T/text.db"
expect 5 'text.db' "$hearth" session ls --store "$T/text.db"
( exec 9>"$HEARTH_STORE-lock" && flock 9 && sleep 3 ) &
sleep 0.5
expect 5 'in use by another process' "$hearth" chat hello
wait
expect 0 '' "$hearth" session ls
# A model that the store does not know yet: a reader finds by words alone.
model other
echo >>"$T/other/config.json"
expect 0 '' "$hearth" chat --tool remember "remember that the code is 4711"
expect 0 'vector 0' "$hearth" memory search --model "$T/other" "code"
expect 5 '' sh -c "ulimit -f 60; trap '' XFSZ; exec '$hearth' chat --store '$T/full.db' hello"
finish
