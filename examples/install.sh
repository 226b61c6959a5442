#!/bin/sh
# Installs the Debian or Ubuntu packages that building Hearth needs and that are missing.
# usage: examples/install.sh [tests]      with "tests": also what the tests need
set -eu

packages="gcc libc6-dev cmake make pkg-config liblua5.4-dev libseccomp-dev libjansson-dev
          libpcre2-dev liblzma-dev libutf8proc-dev libsqlite3-dev libedit-dev"
[ "${1:-}" = tests ] && packages="$packages libcmocka-dev xz-utils"

missing=""
for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "missing packages:$missing" >&2
        echo "they need root: install them, or install sudo, and run this again" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# The lists may be old or absent; they are fetched only when the packages are not found without.
# shellcheck disable=SC2086
$as_root apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
    $as_root apt-get update -qq
    $as_root apt-get install -y --no-install-recommends $missing
}
