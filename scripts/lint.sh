#!/bin/sh
# clang-format (check only), a warning-free build with clang, and clang-tidy over every source that Meson compiles.
set -eu
cd "$(dirname "$0")/.."
build=build/clang
tracked() { git ls-files '*.c' '*.h' '*.cc'; }

echo "lint: clang-format"
tracked | xargs clang-format --dry-run -Werror
[ "${1:-}" = --format-only ] && exit 0

echo "lint: clang -Wall -Wextra -Werror"
[ -f $build/build.ninja ] || CC=clang CXX=clang++ meson setup $build >/dev/null
ninja -C $build >/dev/null || { ninja -C $build; exit 1; }

echo "lint: clang-tidy"
tracked | grep '\.c$' | grep -F -f - $build/compile_commands.json | sed -n 's/.*"file": "\(.*\)".*/\1/p' | sort -u |
    (cd $build && xargs -P 2 -n 4 clang-tidy -p . --quiet 2>/dev/null)
echo "lint: clean"
