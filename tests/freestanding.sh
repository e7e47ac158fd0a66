#!/bin/sh
# src/ is freestanding: its objects, as compiled for the guest, refer to nothing but each other and a few names that
# compilers call on their own, and hold no writable data (thread-local data included) but for what is listed.
#
#     freestanding.sh ARCHIVE LIST
#
# LIST: one name a line, `name` for what may be undefined, `=name` for data that may be writable; # starts a comment.
set -eu
archive=$1
list=$2

symbols=$(nm -A -P "$archive" | grep '_src_[a-z]*_[a-z_0-9]*\.c\.o') || {
    echo "$archive holds no object of src/" >&2
    exit 1
}
printf '%s\n' "$symbols" | awk -v list="$list" '
    BEGIN {
        while ((getline line < list) > 0) {
            sub(/#.*/, "", line)
            gsub(/[ \t]/, "", line)
            if (line != "")
                listed[line] = 1
        }
    }
    {
        file = $1
        sub(/.*_src_/, "", file)
        sub(/_/, "/", file)
        file = "src/" file
        sub(/\.o\]:$/, "", file)
        if ($3 == "U" || $3 == "w" || $3 == "v")
            wanted[$2] = wanted[$2] " " file
        else {
            defined[$2] = 1
            if ($3 ~ /^[dDbBC]$/ && !(("=" $2) in listed)) {
                print "writable data: " $2 " in " file
                bad = 1
            }
        }
        objects[file] = 1
    }
    END {
        for (name in wanted)
            if (!(name in defined) && !(name in listed)) {
                print "undefined: " name " in" wanted[name]
                bad = 1
            }
        for (file in objects)
            count++
        print count " objects looked at"
        exit bad
    }'
