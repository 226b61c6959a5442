#!/bin/sh
# From a fresh clone to a working agent: installs what is missing, builds, and runs quickstart.lua
# on the built-in model. Nothing leaves this machine once the packages are there.
set -eu
cd "$(dirname "$0")/.."

sh examples/install.sh
mkdir -p build
if ! { cmake --preset release -DHEARTH_TESTS=OFF && cmake --build --preset release -j "$(nproc)"; } >build/log.txt 2>&1; then
    tail -30 build/log.txt >&2
    echo "the build failed; the whole log is in build/log.txt" >&2
    exit 1
fi

store=build/quickstart/hearth.db
rm -rf build/quickstart
echo
echo "== hearth run examples/quickstart.lua"
build/release/hearth run --store "$store" "$@" examples/quickstart.lua
echo
echo "== the same store, a second run: what was remembered is recalled"
build/release/hearth run --store "$store" "$@" examples/quickstart.lua recall
