#!/bin/sh
# make_archive.sh OBJCOPY ARCHIVE OUTPUT
# One relocatable object of all of ARCHIVE, in which only the exported names are global: a program that links it sees
# nothing of weir's insides. The operators are weak: a program may bring its own.
set -eu
objcopy=$1 archive=$2 output=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ld -r --whole-archive "$archive" -o "$work/weir.o"
set -- malloc calloc realloc free aligned_alloc free_sized free_aligned_sized posix_memalign reallocarray memalign \
    valloc pvalloc malloc_usable_size malloc_trim \
    mallinfo mallinfo2 malloc_info malloc_stats mallopt cfree '_Zn[wa]m*' '_Zd[la]Pv*' 'mi_*' 'weir_*' \
    DW.ref.__gxx_personality_v0 # handler.cc shares it with the program's own objects
for name; do
    printf '%s\n' "$name"
done >"$work/names"
"$objcopy" --wildcard --keep-global-symbols="$work/names" --weaken-symbol='_Zn[wa]m*' --weaken-symbol='_Zd[la]Pv*' \
    "$work/weir.o"
rm -f "$output"
ar rcs "$output" "$work/weir.o"
