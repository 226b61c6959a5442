#!/bin/sh
# Installs what is missing, builds release and debug (ASan+UBSan), and runs every test of both.
# A test that cannot run here (no GPU, no larger test data) says so and counts as skipped.
set -eu
cd "$(dirname "$0")/.."

sh examples/install.sh tests
mkdir -p build
jobs=$(nproc)
failed=0
for preset in release debug; do
    echo "== $preset"
    cmake --preset "$preset" -DHEARTH_TESTS=ON >build/log.txt 2>&1 && cmake --build --preset "$preset" -j "$jobs" >>build/log.txt 2>&1 || {
        grep -E 'error|Error|warning' build/log.txt | head -40
        tail -5 build/log.txt
        exit 1
    }
    ctest --preset "$preset" -j "$jobs" || failed=1
done
exit $failed
