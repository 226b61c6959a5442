#!/bin/sh
# If this fails, what a newcomer runs first does not work.
. "$(dirname "$0")/lib.sh"
for script in "$root"/examples/*.lua "$root"/examples/quickstart/*.lua; do
    [ -f "$script" ] || continue
    expect 0 '' "$hearth" run "$script"
done
for tool in "$root"/examples/tools/*_test.lua; do expect 0 "0 failed" "$hearth" tool test "$tool"; done
finish
