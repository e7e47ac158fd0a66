#!/bin/sh
# archive_test.sh LIBWEIR.A SOURCE: the archive links with glibc and with musl, statically, as static PIE and
# dynamically, and is the program's malloc then: it reads options, and prints statistics when the program ends.
set -u
archive=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
echo "1..6"
for compiler in gcc musl-gcc; do
    for way in "" -static -static-pie; do
        number=$((number + 1))
        if ! command -v $compiler >/dev/null; then
            echo "ok $number - $compiler $way # SKIP no $compiler here"
        elif $compiler $way -pthread "$source" "$archive" -o "$work/program" 2>"$work/errors" &&
            WEIR_STATS=1 WEIR_KEP=1 "$work/program" >"$work/output" 2>"$work/errors" &&
            grep -q '^done$' "$work/output" &&
            grep -q 'the nearest is WEIR_KEEP,' "$work/errors" &&
            grep -q '^  calls  *1,0[0-9][0-9] malloc, 5[0-9][0-9] free' "$work/errors"; then
            echo "ok $number - $compiler $way"
        else
            sed 's/^/# /' "$work/errors"
            echo "not ok $number - $compiler $way"
        fi
    done
done
