#!/bin/sh
# make install: what was installed runs from there, with nothing of the source tree, its man pages are
# sound, and the shell completes.
. "$(dirname "$0")/lib.sh"

prefix=$TMP/prefix
ok "install" sh "$TOP/tests/tools/install.sh" "$BUILD" "$prefix"
installed() { env -i PATH="$prefix/bin:/usr/bin:/bin" HOME="$TMP" "$@"; }
ok "the lab runs from there" exits 0 installed cowlab run fork-write --db t.db
ok "out of line as well" exits 0 installed cowlab run ool-write --db t.db
ok "the report too" exits 0 installed cowlab report --db t.db -o t.md
ok "cowprobe is there" exits 0 installed cowprobe --version
ok "headers and library are there" test -f "$prefix/include/cowlab/mach/mach.h" -a -f "$prefix/lib/libmachmsg.a"
for page in cowlab cowprobe; do
    ok "$page(1) is there" test -f "$prefix/share/man/man1/$page.1"
    if command -v man >/dev/null 2>&1; then
        ok "$page(1) has no faults" equals "" sh -c "man --warnings -E UTF-8 -l -Tutf8 -Z '$prefix/share/man/man1/$page.1' 2>&1 >/dev/null"
    else
        skip "$page(1) has no faults" "man (make deps)"
    fi
done
# Every command and long option of the help is in the manual.
named() {
    sed 's/\\-/-/g' "$prefix/share/man/man1/cowlab.1" >plain
    for word in $(cowlab --help | sed -n 's/^  cowlab \([a-z]*\).*/\1/p'); do
        grep -q "$word" plain || { echo "cowlab(1) does not name $word"; return 1; }
        for option in $(cowlab "$word" --help | sed -n 's/^ *\(-[a-zA-Z], \)\{0,1\}--\([a-z-]*\).*/\2/p'); do
            case $option in help | usage) continue ;; esac
            grep -q -- "--$option" plain || { echo "cowlab(1) does not name --$option of $word"; return 1; }
        done
    done
}
ok "the manual names every command and option" named
completes() { # LINE WORD: pressing tab after LINE offers WORD
    bash -c '. "$1"; COMP_LINE=$2; read -ra COMP_WORDS <<<"$2"; case $2 in *" ") COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cowlab; printf "%s\n" "${COMPREPLY[@]}"' - \
        "$prefix/share/bash-completion/completions/cowlab" "$1" | grep -qx -- "$2"
}
ok "commands complete" completes "cowlab re" report
ok "scenarios complete" completes "cowlab run fork-wr" fork-write
ok "options complete" completes "cowlab watch --ch" --children
finish
