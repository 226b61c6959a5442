#!/bin/sh
# If this fails, the built-in model is trained on another text than it is shown: a tool's description, the template or the recipe's
# renderer has changed. expected.txt.gz was written by the recipe (check_render.py --write), the other side is Hearth's own renderer.
. "$(dirname "$0")/../cli/lib.sh"
for file in conversations.jsonl expected.txt; do
    gzip -dc "$here/$file.gz" >"$T/$file" || exit 1
done
"$hearth" model render "$T/conversations.jsonl" >"$T/rendered" || exit 1
expect 0 '' cmp "$T/rendered" "$T/expected.txt"

expect 0 '"tokens":[' "$hearth" model render --json "$T/conversations.jsonl"
expect 3 'No such file' "$hearth" model render "$T/nothing"
echo '{"messages": [{"role": "user", "content": "hi"}], "tools": ["no_tool"]}' >"$T/unknown"
expect 3 'line 1: there is no tool "no_tool"' "$hearth" model render "$T/unknown"
printf '{"messages": [{"role": "user", "content": "hi"}]}\n{"messages": 3}\n' >"$T/bad"
expect 3 'line 2: expected {"messages"' "$hearth" model render "$T/bad"
echo '{' >"$T/broken"
expect 3 'line 1' "$hearth" model render "$T/broken"
finish
