#!/bin/sh
# Installs what building, running and testing weir needs, from Debian's packages. Does nothing where all is there.
set -eu

packages="gcc g++ make meson ninja-build pkg-config python3 binutils
    musl musl-dev qemu-system-x86
    libcmocka-dev libjansson-dev libcurl4-openssl-dev
    liblua5.4-dev libsqlite3-dev libjemalloc-dev
    lua5.4 sqlite3 perl ghostscript redis-server"
lint="clang clang-format clang-tidy libclang-rt-14-dev"
[ "${1:-}" = --lint ] && packages="$packages $lint"

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: this is not Debian; please install the equivalents of:$missing" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || { echo "setup: run as root, or install:$missing" >&2; exit 1; }
fi
echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is meant to be split
if ! { $sudo apt-get update -q && $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "setup: apt-get failed; see above" >&2
    exit 1
fi
