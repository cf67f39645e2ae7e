#!/bin/sh
# The front page cannot drift: each console block of README.md is run, in order, as a reader would, and what it
# prints is what stands there. `...` stands for anything; figures that vary are masked: times, run ids, the
# kernel's version, page sizes, RSS/PSS/USS, and the sizes of a watch. Not run as they stand, with the reason:
#   make demo, make test    they install packages and run this; their names are looked up
#   $(cat server.pid)       no server is at hand: a process that sleeps is watched, in the same words
#   $(pidof redis-server)   nor this one: the options are looked up
#   sudo                    the command behind it, on a copy of the program
. "$(dirname "$0")/lib.sh"
README=${README:-$TOP/README.md}

# Block N of README, without its fence.
block() {
    awk -v n="$1" '/^```console$/ { inside = ++seen == n; next } /^```/ { inside = 0 } inside' "$README"
}

# The N-th command of the block in $TMP/block into $command (it goes on over lines until its quotes are closed);
# what is shown below it into $TMP/shown.
command_of() {
    command="" state=before nr=0
    : >"$TMP/shown"
    while IFS= read -r line; do
        case $state.$line in
        open.*) command="$command
$line" ;;
        *.'$ '*)
            nr=$((nr + 1))
            [ $nr -gt "$1" ] && break
            state=before
            [ $nr -eq "$1" ] || continue
            command=${line#"$ "}
            ;;
        shown.*) printf '%s\n' "$line" >>"$TMP/shown"; continue ;;
        *) continue ;;
        esac
        if printf '%s\n' "$command" | sh -n 2>/dev/null; then state=shown; else state=open; fi
    done <"$TMP/block"
    [ -n "$command" ]
}

mask() {
    sed -E -e 's/[0-9]{8}-[0-9]{6}-[0-9a-f]{16}/RUN/g' -e 's/^(  linux, |)Linux [^ ]+ [a-z0-9_]+,? /\1Linux /' \
        -e 's/pages of [0-9]+( |$)/pages of N\1/' -e '/rss\/pss\/uss KiB:/ s#[0-9,]+/[0-9,]+/[0-9,]+#N#g' \
        -e 's/ [0-9.,]+ (ns|µs|ms|s)$/ T/' -e 's/[[:space:]]+/ /g; s/^ //; s/ $//' "$1"
}
mask_watch() { # every figure, and one line of each kind
    mask "$1" | sed -E -e 's/^[0-9.]+s /T /' -e ':a' -e 's/ ([0-9.,]+ [KMG]iB|[0-9]+|-)( |$)/ N\2/; ta' | sort -u
}

# alike MASK SHOWN PRINTED: line by line, where a line of `...` stands for any number of lines
alike() {
    "$1" "$2" >"$TMP/want" && "$1" "$3" >"$TMP/have"
    awk 'function same(i, j) {
            if (i > n) return j > m
            if (want[i] != "...") return j <= m && want[i] == have[j] && same(i + 1, j + 1)
            for (; j <= m + 1; j++) if (same(i + 1, j)) return 1
            return 0
         }
         FILENAME ~ /want$/ { want[++n] = $0; next } { have[++m] = $0 }
         END { exit !same(1, 1) }' "$TMP/want" "$TMP/have" ||
        { diff "$TMP/want" "$TMP/have"; return 1; }
}

# notices MASK: what was just found alike is so no longer if any one word of it is another
notices() {
    awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^[^0-9]*[A-Za-z][A-Za-z][^0-9]*$/) print NR, i }' "$TMP/shown" >"$TMP/words"
    [ -s "$TMP/words" ] || { echo "no word"; return 1; }
    while read -r row column; do
        awk -v r="$row" -v c="$column" 'NR == r { $c = $c "x" } { print }' "$TMP/shown" >"$TMP/wrong"
        ! alike "$1" "$TMP/wrong" "$TMP/printed" >/dev/null ||
            { echo "another word is not noticed: line $row, word $column"; sed -n "${row}p" "$TMP/shown"; return 1; }
    done <"$TMP/words"
}

# One command as it stands; what it printed is in $TMP/printed.
run() {
    yes '' 2>/dev/null | timeout 300 sh -c "$1" >"$TMP/printed" 2>"$TMP/said"
}
works() {
    run "$1" || { echo "status $?"; cat "$TMP/printed" "$TMP/said"; return 1; }
}

has_options() { # COMMAND: each is in the command's help
    cowlab "$(echo "$1" | cut -d' ' -f2)" --help >"$TMP/help" || return 1
    for option in $(echo "${1%%#*}" | grep -o -- '--[a-z-]*'); do
        grep -q -- "$option\\b" "$TMP/help" || { echo "no option $option"; return 1; }
    done
}

# What a command, or what is shown below it, needs of the machine: prints the first that is missing.
missing() {
    case $1 in
    *"--backend gnumach"*) cowlab doctor --json | jq -e '.backends[] | select(.name == "gnumach") | .have' >/dev/null ||
        { echo "gnumach"; return 0; } ;;
    *setcap*)
        cp "$BUILD/cowprobe" "$TMP/probe" && setcap cap_sys_admin=ep "$TMP/probe" 2>/dev/null ||
            { echo "file capabilities"; return 0; } ;;
    esac
    [ -s "$TMP/shown" ] || return 1
    [ "$(id -u)" -eq 0 ] || { echo "root"; return 0; }
    for need in $(sed -n 's/^  \([a-z_]*\)  *yes  .*/\1/p' "$TMP/shown") frames debt; do
        has_cap "$need" || { echo "$need"; return 0; }
    done
    had=$(sed -n 's/^  \([a-z_]*\)  *no  .*/\1/p' "$TMP/shown")
    for need in $had; do
        ! has_cap "$need" || { echo "a machine without $need"; return 0; }
    done
    return 1
}

check() { # NAME COMMAND
    masked=mask
    case $2 in
    "make "*)
        target=$(echo "$2" | cut -d' ' -f2)
        ok "$1: make knows it" says "^  $target " make -s -C "$TOP" help
        return
        ;;
    *"\$(pidof "*) ok "$1: its options" has_options "$2"; return ;;
    esac
    what=$(missing "$2") && { skip "$1" "$what"; return; }
    case $2 in
    *"\$(cat server.pid)"*)
        masked=mask_watch
        sleep 60 &
        echo $! >server.pid
        trap 'kill "$(cat server.pid)"; rm -rf "$TMP"' EXIT
        ;;
    sudo*) mkdir -p build/release && cp "$BUILD/cowprobe" build/release/ ;;
    esac
    ok "$1: it works" works "${2#sudo }"
    [ -s "$TMP/shown" ] || return 0
    ok "$1: what stands there is what it prints" alike $masked "$TMP/shown" "$TMP/printed"
    ok "$1: another word would be noticed" notices $masked
}

blocks=$(grep -c '^```console$' "$README")
ok "README has its blocks" test "$blocks" -gt 5
n=0
while [ $n -lt "$blocks" ]; do
    n=$((n + 1)) nth=0
    block $n >"$TMP/block"
    while command_of $((nth + 1)); do
        nth=$((nth + 1))
        check "block $n, $(echo "$command" | head -1 | cut -c1-60)" "$command"
    done
    ok "block $n: all of it is a command's" test "$nth" -gt 0
done
finish
