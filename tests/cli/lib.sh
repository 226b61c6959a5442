# Shared by the cli_*.sh tests: `expect CODE TEXT COMMAND...` runs a command and checks its exit code and that TEXT stands in what it
# printed. Counts; `finish` ends the test.
set -u
build=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
hearth=$build/hearth
T=$(mktemp -d /tmp/hearth-cli-XXXXXX)
trap 'rm -rf "$T"' EXIT
export HEARTH_STORE="$T/store.db" NO_COLOR=1
unset HEARTH_MODEL
passed=0 failed=0

expect() {
    want=$1 text=$2
    shift 2
    "$@" >"$T/out" 2>&1 </dev/null
    got=$?
    if [ "$got" -ne "$want" ]; then
        why="exit code $got, expected $want"
    elif [ -n "$text" ] && ! grep -qF -- "$text" "$T/out"; then
        why="no \`$text\` in the output"
    elif [ "$want" -ne 0 ] && [ "$1" = "$hearth" ] && [ "$(grep -cE '^(hearth: |\{"error")' "$T/out")" -ne 1 ] &&
        ! grep -q '^usage' "$T/out"; then
        why="expected one line of error"
    else
        passed=$((passed + 1))
        return 0
    fi
    failed=$((failed + 1))
    echo "FAILED: $*"
    echo "  $why"
    sed 's/^/  | /' "$T/out" | head -20
    return 1
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
