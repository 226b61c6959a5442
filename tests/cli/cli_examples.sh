#!/bin/sh
# If this fails, what a newcomer runs first does not work.
. "$(dirname "$0")/lib.sh"
for script in "$root"/examples/*.lua "$root"/examples/quickstart/*.lua; do
    [ -f "$script" ] || continue
    expect 0 '' "$hearth" run "$script"
done
finish
