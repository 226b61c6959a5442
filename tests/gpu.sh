#!/bin/sh
# Runs the tests and benches that need a GPU, and ends with how many passed, failed and were skipped.
# Exit code: 0 all that ran passed, 1 something failed, 77 nothing could run here.
#
# With CMake and nvcc here it builds first; otherwise, or with HEARTH_BUILD=DIR, it runs a build made
# elsewhere (-DHEARTH_STATIC=ON -DHEARTH_CUDA=ON) on a machine that has a driver and a shell: DIR needs
# hearth, hearth-box, test_kernels and test_cuda, and libcmocka.so.0 where that is not installed; beside
# this script's folder stands engine/builtin-model.
#
#   OUT=DIR               keeps what each printed in DIR/NAME.log, of a bench DIR/NAME.json, and the
#                         list of results in DIR/summary.txt
#   HEARTH_BENCH=none     leaves the benches out; =only leaves the tests out
#   HEARTH_SANITIZER=1    runs the tests, with fewer cases, under compute-sanitizer instead: memcheck,
#                         racecheck, initcheck and synccheck, or those named: HEARTH_SANITIZER="memcheck"
#   HEARTH_TIMEOUT=SECONDS  for each, where there is `timeout`; 1200, and 3600 under the sanitizer
#   HEARTH_LARGE_MODEL=DIR  what bench load reads: tests/engine/large_model.py makes a model that is
#                         large enough to say something of the disk
set -u
cd "$(dirname "$0")/.." || exit 1
build=${HEARTH_BUILD:-build/cuda}
sanitizer=${HEARTH_SANITIZER:-}
benches=${HEARTH_BENCH:-all}
model=engine/builtin-model

case $benches in all | none | only) ;; *)
    echo "HEARTH_BENCH: expected all, none or only, found \"$benches\"" >&2
    exit 2
    ;;
esac

if [ -z "${HEARTH_BUILD:-}" ]; then
    command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || {
        echo "no nvcc here: set HEARTH_BUILD to a build made elsewhere"
        exit 77
    }
    cmake --preset cuda && cmake --build --preset cuda -j "$(nproc)" || exit 1
fi
[ -x "$build/hearth" ] || {
    echo "$build/hearth: not there, or not a program" >&2
    exit 1
}
LD_LIBRARY_PATH=$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

keep=${OUT:-}
out=$keep
if [ -n "$keep" ]; then
    mkdir -p "$keep" || exit 1
else
    out=$(mktemp -d) || exit 1
    trap 'rm -rf "$out"' EXIT
fi
: >"$out/summary.txt" || exit 1

passed=0 failed=0 skipped=0
count() { # RESULT NAME WHY
    case $1 in
    passed) passed=$((passed + 1)) ;;
    failed) failed=$((failed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    esac
    printf '%-8s %s%s\n' "$1" "$2" "${3:+: $3}" | tee -a "$out/summary.txt"
}

within=
if command -v timeout >/dev/null; then
    usual=1200
    [ -z "$sanitizer" ] || usual=3600
    within="timeout ${HEARTH_TIMEOUT:-$usual}"
fi

# Of a bench: what this machine lacks, as its error says it.
cannot_run() {
    cat "$@" 2>/dev/null | grep -ohE \
        'does not fit the memory|no memory for|no NVIDIA driver|no NVIDIA GPU|build is without CUDA' |
        head -1 | grep .
}

# NAME ENDING COMMAND...: what it prints goes to NAME.ENDING, its errors to NAME.log, and both here.
attempt() {
    name=$1 to=$out/$1.$2 log=$out/$1.log
    shift 2
    echo "== $*"
    if [ "$to" = "$log" ]; then
        $within "$@" >"$to" 2>&1
        rc=$?
        cat "$to"
    else
        $within "$@" >"$to" 2>"$log"
        rc=$?
        cat "$to" "$log"
        [ -s "$log" ] || rm -f "$log"
    fi
    if [ $rc -eq 0 ]; then
        count passed "$name"
    elif [ $rc -eq 77 ]; then
        count skipped "$name" "$(grep -h skipped "$to" | head -1)"
    elif [ "$to" != "$log" ] && why=$(cannot_run "$to" "$log"); then
        count skipped "$name" "$why"
    elif [ $rc -eq 124 ] && [ -n "$within" ]; then
        count failed "$name" "took longer than ${within#timeout } seconds"
    else
        count failed "$name" "exit code $rc"
    fi
}

# NAME PROGRAM ARGUMENTS...
check() {
    if [ -x "$2" ]; then
        name=$1
        shift
        attempt "$name" log "$@"
    else
        count failed "$1" "$2 is not there"
    fi
}

find_sanitizer() {
    command -v compute-sanitizer && return
    for at in /usr/local/cuda/bin "$build"; do
        [ -x "$at/compute-sanitizer" ] && echo "$at/compute-sanitizer" && return
    done
}

# Errors are looked for in code that runs as it is used, so programs end with their own results too.
sanitize() {
    tool=$1
    checker=$(find_sanitizer)
    for test in test_kernels test_cuda; do
        if [ -z "$checker" ]; then
            count skipped "$tool-$test" "there is no compute-sanitizer"
            continue
        fi
        what=cuda
        [ $test = test_cuda ] && what=$model
        if [ -x "$build/$test" ]; then
            attempt "$tool-$test" log "$checker" --tool "$tool" --error-exitcode 99 --print-limit 20 \
                "$build/$test" $what small
        else
            count failed "$tool-$test" "$build/$test is not there"
        fi
    done
}

bench() { # NAME ARGUMENTS...
    name=bench-$1
    shift
    attempt "$name" json "$build/hearth" bench "$@" --backend cuda --json
}

if [ "$benches" != only ] && [ -z "$sanitizer" ]; then
    command -v nvidia-smi >/dev/null && nvidia-smi
    # Without a GPU there is nothing wrong with the machine: only a fault counts.
    "$build/hearth" doctor --json >"$out/doctor.json" || count failed doctor "see doctor.json"
    cat "$out/doctor.json"
    check test_kernels "$build/test_kernels" cuda
    check test_cuda "$build/test_cuda" "$model"
elif [ "$benches" != only ]; then
    [ "$sanitizer" = 1 ] && sanitizer="memcheck racecheck initcheck synccheck"
    for tool in $sanitizer; do sanitize "$tool"; done
fi

if [ "$benches" != none ] && [ -z "$sanitizer" ]; then
    if [ -n "${HEARTH_LARGE_MODEL:-}" ]; then
        bench load load --model "$HEARTH_LARGE_MODEL"
    else
        bench load load
    fi
    for weights in bf16 fp8 nvfp4 mxfp4; do
        product() { # N K
            bench "kernel-$weights-$1x$2" kernel --weights $weights --n "$1" --k "$2" --repeat 9
        }
        product 28672 8192
        product 4096 14336
        product 4096 4096
    done
    bench sample sample
    decode() { # SHAPE WEIGHTS PROMPT DECODE [ROWS]
        bench "decode-$1-$2-$3-$4${5:+-rows-$5}" decode --shape "$1" --weights "$2" --prompt "$3" \
            --decode "$4" ${5:+--rows "$5"}
    }
    for weights in fp8 nvfp4 bf16; do decode llama-3.1-8b $weights 128 128; done
    decode llama-3.1-8b fp8 128 128 8
    decode llama-3.1-8b fp8 2048 64
    decode llama-3.1-8b fp8 32768 64
    bench decode-llama-3.1-8b-fp8-32768-64-kv-fp8 decode --shape llama-3.1-8b --weights fp8 --prompt 32768 \
        --decode 64 --kv fp8
    for weights in fp8 nvfp4; do decode qwen3-32b $weights 128 128; done
    decode llama-3.3-70b nvfp4 128 128
    for weights in fp8 nvfp4; do decode qwen3-30b-a3b $weights 128 128; done
    decode qwen3-30b-a3b fp8 2048 64 8
    for shape in gpt-oss-20b gpt-oss-120b; do
        decode $shape mxfp4 128 128
        decode $shape mxfp4 32768 64
    done
    decode gpt-oss-20b mxfp4 2048 64 8
    prefill() { # SHAPE WEIGHTS ACTIVATIONS
        bench "prefill-$1-$2-$3" prefill --shape "$1" --weights "$2" --activations "$3"
    }
    for activations in 16bit fp8; do prefill llama-3.1-8b fp8 $activations; done
    for activations in 16bit fp4; do
        prefill llama-3.1-8b nvfp4 $activations
        prefill qwen3-30b-a3b nvfp4 $activations
    done
    for shape in gpt-oss-20b gpt-oss-120b; do prefill $shape mxfp4 16bit; done
fi

echo
[ $failed -gt 0 ] && grep '^failed' "$out/summary.txt"
echo "$passed passed, $failed failed, $skipped skipped" | tee -a "$out/summary.txt"
[ -n "$keep" ] && echo "results: $keep"
[ $failed -gt 0 ] && exit 1
[ $passed -gt 0 ] || exit 77
