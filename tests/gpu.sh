#!/bin/sh
# Runs the tests and benches that need a GPU. With CMake and nvcc here it builds first; otherwise, or
# with HEARTH_BUILD=DIR, it runs a build made elsewhere (-DHEARTH_STATIC=ON -DHEARTH_CUDA=ON; the
# folder needs hearth, test_kernels and test_cuda, and libcmocka.so.0 where that is not installed).
# HEARTH_BENCH=none leaves the benches out.
set -eu
cd "$(dirname "$0")/.."
build=${HEARTH_BUILD:-build/cuda}

if [ -z "${HEARTH_BUILD:-}" ]; then
    command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || {
        echo "no nvcc here: set HEARTH_BUILD to a build made elsewhere"
        exit 77
    }
    cmake --preset cuda
    cmake --build --preset cuda -j "$(nproc)"
fi
LD_LIBRARY_PATH=$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

failed=0
check() {
    echo "== $*"
    "$@" || {
        rc=$?
        [ $rc -eq 77 ] || failed=1
    }
}
check "$build/test_kernels" cuda
check "$build/test_cuda" engine/builtin-model
[ "${HEARTH_BENCH:-}" = none ] && exit $failed

# tests/engine/large_model.py makes a model that is large enough to say something of the disk.
"$build/hearth" bench load ${HEARTH_LARGE_MODEL:+--model "$HEARTH_LARGE_MODEL"} --backend cuda --json || failed=1
bench() {
    "$build/hearth" bench "$@" --backend cuda --json || failed=1
}
for weights in bf16 fp8 nvfp4 mxfp4; do
    bench kernel --weights $weights --n 28672 --k 8192 --repeat 9
    bench kernel --weights $weights --n 4096 --k 14336 --repeat 9
done
for weights in fp8 nvfp4 bf16; do
    bench decode --shape llama-3.1-8b --weights $weights --prompt 128 --decode 128
done
bench decode --shape llama-3.1-8b --weights fp8 --prompt 128 --decode 128 --rows 8
bench decode --shape llama-3.1-8b --weights fp8 --prompt 2048 --decode 64
bench decode --shape llama-3.1-8b --weights fp8 --prompt 32768 --decode 64
bench decode --shape llama-3.1-8b --weights fp8 --prompt 32768 --decode 64 --kv fp8
for weights in fp8 nvfp4; do
    bench decode --shape qwen3-32b --weights $weights --prompt 128 --decode 128
done
bench decode --shape llama-3.3-70b --weights nvfp4 --prompt 128 --decode 128
for weights in fp8 nvfp4; do
    bench decode --shape qwen3-30b-a3b --weights $weights --prompt 128 --decode 128
done
bench decode --shape qwen3-30b-a3b --weights fp8 --prompt 2048 --decode 64 --rows 8
exit $failed
