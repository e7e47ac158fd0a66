#!/bin/sh
# mimalloc_guest_test.sh WEIR PROGRAM INCLUDE: mimalloc's interface in a guest with two CPUs.
set -eu
weir=$1 program=$2 include=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 1..2
if "$weir" build "$program" -I "$include" -o "$work/mimalloc.img" >"$work/log" 2>&1; then
    echo "ok 1 - a program that uses it is built"
else
    sed 's/^/# /' "$work/log"
    echo "not ok 1 - a program that uses it is built"
fi
if "$weir" run "$work/mimalloc.img" --cpus=2 --memory=128M --timeout=60 >"$work/log" 2>&1 && grep -qx "all is well" "$work/log"; then
    echo "ok 2 - and runs"
else
    sed 's/^/# /' "$work/log"
    echo "not ok 2 - and runs"
fi
