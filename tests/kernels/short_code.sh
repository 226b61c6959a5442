#!/bin/sh
# If this fails, products of short numbers (kernels/cuda_short.cu) are compiled for GB10 to
# something else than the tensor cores' own instructions, or their sums do not stay in registers.
#     short_code.sh NVCC SOURCE_DIR
# CUOBJDUMP: the disassembler, where it is not beside nvcc.
set -eu
nvcc=$1 source=$2
skip() {
    echo "skipped: $1"
    exit 77
}
command -v "$nvcc" >/dev/null || skip "no nvcc"
dump=${CUOBJDUMP:-$(dirname "$(command -v "$nvcc")")/cuobjdump}
$dump --help >/dev/null 2>&1 || skip "no cuobjdump"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$nvcc" -std=c++20 -O3 -arch=sm_121a -cubin -Xptxas -v -I "$source" -I "$source/runtime" \
    -o "$work/short.cubin" "$source/kernels/cuda_short.cu" 2>"$work/log" ||
    { cat "$work/log"; exit 1; }
$dump -sass "$work/short.cubin" >"$work/sass"

# What a stage takes: two fragments of rows by 16 of tokens (of a run 8), by 2 steps of e2m1
# or 4 of e4m3; each with and without a gate.
expect() { # COUNT PATTERN
    n=$(grep -c "$2" "$work/sass") || true
    echo "$n $2"
    [ "$n" -eq "$1" ] || { echo "expected $1"; exit 1; }
}
expect 192 'OMMA\.SF\.16864\.F32\.E2M1\.E2M1\.UE4M3\.4X'
expect 384 'QMMA\.SF\.16832\.F32\.E4M3\.E4M3\.E8'
expect 0 'HMMA'
grep 'spill' "$work/log" | sort | uniq -c
if grep 'spill' "$work/log" | grep -qv ' 0 bytes spill stores, 0 bytes spill loads'; then
    echo "expected no spills"
    exit 1
fi
