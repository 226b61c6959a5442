#!/bin/sh
# If this fails, a run of tests/gpu.sh on a machine with a GPU hides a failure, or counts wrongly. The
# programs that it runs are stand-ins here, which say and return what FAKE_* tells them.
set -u
here=$(cd "$(dirname "$0")" && pwd)
T=$(mktemp -d /tmp/hearth-gpu-XXXXXX)
trap 'rm -rf "$T"' EXIT
mkdir "$T/build" "$T/tools"
passed=0 failed=0

program() { # PATH, its text on the standard input
    { echo '#!/bin/sh' && cat; } >"$1"
    chmod +x "$1"
}
program "$T/build/hearth" <<'F'
echo "$*" >>"$FAKE_LOG"
case "$*" in
*70b*) echo "hearth: does not fit the memory of cuda: too much" >&2; exit 1 ;;
*"$FAKE_BAD_BENCH"*) echo "hearth: backend cuda: a step: an illegal memory access" >&2; exit 1 ;;
*) echo '{"ok": true}' ;;
esac
F
for name in test_kernels test_cuda; do
    program "$T/build/$name" <<F
echo "$name \$*" >>"\$FAKE_LOG"
[ "\$FAKE_RC" = hang ] && sleep 60
[ "\$FAKE_RC" = 77 ] && echo "skipped: backend cuda: no NVIDIA driver"
exit \$FAKE_RC
F
done
program "$T/tools/compute-sanitizer" <<'F'
echo "sanitizer $*" >>"$FAKE_LOG"
while [ "$1" != 20 ]; do shift; done
shift
"$@" || exit
case "$*" in *"$FAKE_RACE"*) echo "========= ERROR SUMMARY: 1 error"; exit 99 ;; esac
F

# CODE LAST_LINE VARIABLE=VALUE...
expect() {
    code=$1 text=$2
    shift 2
    : >"$T/log"
    env HEARTH_BUILD="$T/build" OUT="$T/out" FAKE_LOG="$T/log" FAKE_RC=0 FAKE_BAD_BENCH=none \
        FAKE_RACE=none "$@" sh "$here/../gpu.sh" >"$T/all" 2>&1 </dev/null
    got=$?
    if [ $got -eq "$code" ] && [ "$(tail -1 "$T/out/summary.txt")" = "$text" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $*: exit code $got, expected $code, and: $text"
        tail -5 "$T/all" | sed 's/^/  | /'
    fi
}

holds() { # FILE TEXT
    if grep -qF -- "$2" "$T/$1"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: no \`$2\` in $1"
    fi
}

expect 0 "2 passed, 0 failed, 0 skipped" HEARTH_BENCH=none
holds log "test_kernels cuda"
holds log "test_cuda engine/builtin-model"
holds out/doctor.json '{"ok": true}'
expect 0 "41 passed, 0 failed, 1 skipped" HEARTH_BENCH=all
holds out/bench-decode-llama-3.1-8b-fp8-128-128-rows-8.json '{"ok": true}'
holds log "bench decode --shape llama-3.1-8b --weights fp8 --prompt 128 --decode 128 --rows 8 --backend cuda --json"
holds out/summary.txt "skipped  bench-decode-llama-3.3-70b-nvfp4-128-128: does not fit the memory"
expect 1 "37 passed, 2 failed, 1 skipped" HEARTH_BENCH=only FAKE_BAD_BENCH=qwen3-32b
holds out/bench-decode-qwen3-32b-fp8-128-128.log "illegal memory access"
holds all "failed   bench-decode-qwen3-32b-nvfp4-128-128: exit code 1"
expect 1 "0 passed, 2 failed, 0 skipped" HEARTH_BENCH=none FAKE_RC=3
expect 77 "0 passed, 0 failed, 2 skipped" HEARTH_BENCH=none FAKE_RC=77
holds out/summary.txt "skipped  test_kernels: skipped: backend cuda: no NVIDIA driver"
expect 1 "2 passed, 1 failed, 0 skipped" HEARTH_BENCH=none FAKE_BAD_BENCH=doctor
command -v timeout >/dev/null &&
    expect 1 "0 passed, 2 failed, 0 skipped" HEARTH_BENCH=none FAKE_RC=hang HEARTH_TIMEOUT=1
expect 77 "0 passed, 0 failed, 2 skipped" HEARTH_SANITIZER=memcheck PATH=/usr/bin:/bin
PATH=$T/tools:$PATH
expect 0 "8 passed, 0 failed, 0 skipped" HEARTH_SANITIZER=1
holds log "sanitizer --tool racecheck --error-exitcode 99 --print-limit 20 $T/build/test_kernels cuda small"
holds log "test_cuda engine/builtin-model small"
expect 1 "1 passed, 1 failed, 0 skipped" HEARTH_SANITIZER=racecheck FAKE_RACE=test_cuda
rm "$T/build/test_cuda"
expect 1 "1 passed, 1 failed, 0 skipped" HEARTH_BENCH=none
holds out/summary.txt "failed   test_cuda: "
rm "$T/build/hearth" "$T/out/summary.txt"
env HEARTH_BUILD="$T/build" sh "$here/../gpu.sh" >"$T/all" 2>&1
[ $? -eq 1 ] && passed=$((passed + 1)) || failed=$((failed + 1))
holds all "hearth: not there"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
