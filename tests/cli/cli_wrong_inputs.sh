#!/bin/sh
# If this fails, a wrong input gets a crash, a silent success, or a message that does not name the thing. Each line below is one
# mistake a person or a broken file can make.
. "$(dirname "$0")/lib.sh"
mkdir "$T/ws"
echo "hello" >"$T/ws/a.txt"

# ---- command line
expect 2 'there is no verb `fly`' "$hearth" fly
expect 2 'no option --colour' "$hearth" run --colour red x.lua
expect 2 '--steps: expected a whole number, found `many`' "$hearth" run --steps many x.lua
expect 2 '--model: expected DIR behind it' "$hearth" doctor --model
expect 2 'expected SCRIPT' "$hearth" run
expect 2 'tool ls' "$hearth" tool
expect 2 'expected the number of a run, found `x`' "$hearth" inspect x
expect 2 '"code":2' "$hearth" inspect --json x

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
printf 'require "hearth".agent { policy = { read_file = "maybe" } }\n' >"$T/policy.lua"
expect 3 'field `policy`' "$hearth" run "$T/policy.lua"
printf 'require "hearth".agent { tools = { "fly_to_moon" } }\n' >"$T/toolname.lua"
expect 3 'there is no tool `fly_to_moon`' "$hearth" run "$T/toolname.lua"
printf 'require "hearth".agent { session = 4711 }\n' >"$T/session.lua"
expect 2 'there is no session 4711' "$hearth" run "$T/session.lua"
printf 'print(io, os.execute, package, debug, dofile)\n' >"$T/gone.lua"
expect 0 'nil	nil	nil	nil	nil' "$hearth" run "$T/gone.lua"
expect 3 '/nowhere' "$hearth" chat --workspace /nowhere hello
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
expect 5 '' sh -c "ulimit -f 60; trap '' XFSZ; exec '$hearth' chat --store '$T/full.db' hello"
finish
