#!/bin/sh
# Programs as they are written for XNU, compiled unchanged against the installed headers and library
# and nothing else, and run: two processes that talk, every descriptor, fork and regions.
. "$(dirname "$0")/lib.sh"

export COWLAB_BOOTSTRAP="$TMP/bootstrap"
ok "headers and library are installed" sh "$TOP/tests/tools/install.sh" "$BUILD" "$TMP/usr"
flags=
case $BUILD in
*asan) flags="-fsanitize=address,undefined" ;;
*cov) flags="--coverage" ;;
esac
for program in ool_server ool_client descriptors vm_fork ool_options; do
    # shellcheck disable=SC2086 # flags are meant to split
    ok "$program compiles" ${CC:-cc} -std=gnu11 -g $flags -I"$TMP/usr/include/cowlab" -o "$program" \
        "$TOP/tests/xnu/$program.c" -L"$TMP/usr/lib" -lmachmsg -lpthread
done
headers() { (cd "$TMP/usr/include/cowlab" && find . -name '*.h' | sed 's#^./\(.*\)#\#include <\1>#'); }
each_header() { headers | while read -r line; do
    echo "$line" | "$@" -I"$TMP/usr/include/cowlab" -Wall -Wextra -Werror -fsyntax-only - || { echo "$line"; exit 1; }
done; }
# shellcheck disable=SC2086 # a compiler may be two words
ok "every header stands alone in C99" each_header ${CC:-cc} -std=c99 -x c
if cxx=$(command -v c++ || command -v clang++); then
    ok "and in C++" each_header "$cxx" -std=c++11 -x c++
else
    skip "and in C++" "clang++ (make deps)"
fi

./ool_server >server.out 2>&1 &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q serving server.out && break
    sleep 0.05
done
page=$(getconf PAGESIZE)
ok "a client is answered" equals "answer 104: thank you
no answer: (ipc/rcv) timed out
answer 106: plain" ./ool_client
ok "the server saw all three" equals "serving
message 4: $page bytes out of line, copy 1: Hello, OOL data!
message 5: $page bytes out of line, copy 1: Hello, OOL data!
nobody waits for an answer
message 6 without a body" cat server.out
ok "and lives" kill "$server"
wait "$server" 2>/dev/null

ok "four descriptors arrive" equals "message 8, inline 0x1234
0: port, disposition 18
1: out of line, type 1, copy 1, deallocate 1: out of line
2: 3 ports, disposition 17, second is null: 1, first and third the same: 1
3: out of line, type 3, copy 0, deallocate 0: out of line and volatile
child: 0" ./descriptors

# The six rows published for XNU. Telling debt from an exclusive page needs the kernel's flags.
if has_cap debt; then
    ok "fork shows the published share modes" equals "map: SM_EMPTY, refs 0, resident 0, size 1, depth 0
write: SM_PRIVATE, refs 1, resident 1, size 1, depth 0
fork, child: SM_COW, refs 2, resident 1, size 1, depth 0
child wrote, child: SM_PRIVATE, refs 1, resident 1, size 1, depth 0
child wrote, parent: SM_COW, refs 1, resident 1, size 1, depth 0
parent wrote, parent: SM_PRIVATE, refs 1, resident 1, size 1, depth 0" ./vm_fork
else
    skip "fork shows the published share modes" debt
fi
if [ "$page" -eq 4096 ]; then
    ok "eight transfers of purgeable memory look as published" equals "1: A, copy 1, region of 1 pages, mode 2, refs 1, resident 1
2: B, copy 1, region of 2 pages, mode 2, refs 1, resident 2
3: C, copy 1, region of 16 pages, mode 2, refs 1, resident 1
4: D, copy 1, region of 16 pages, mode 2, refs 1, resident 1
5: E, copy 0, region of 3 pages, mode 2, refs 1, resident 3
6: F, copy 0, region of 4 pages, mode 2, refs 1, resident 4
7: G, copy 0, region of 16 pages, mode 1, refs 1, resident 16
8: H, copy 0, region of 16 pages, mode 2, refs 1, resident 1" ./ool_options
    ok "and of ordinary memory as predicted" equals "1: A, copy 1, region of 1 pages, mode 2, refs 1, resident 1
2: B, copy 1, region of 2 pages, mode 2, refs 1, resident 2
3: C, copy 1, region of 16 pages, mode 1, refs 2, resident 1
4: D, copy 1, region of 16 pages, mode 1, refs 1, resident 1
5: E, copy 0, region of 3 pages, mode 2, refs 1, resident 3
6: F, copy 0, region of 4 pages, mode 2, refs 1, resident 4
7: G, copy 0, region of 16 pages, mode 1, refs 1, resident 16
8: H, copy 0, region of 16 pages, mode 1, refs 1, resident 1" ./ool_options 1
else
    skip "eight transfers look as published" "4 KiB pages"
fi

# The name server that the first of them started is a copy of that program, and ends by itself when
# unused; the test does not wait for that.
grep -lz "^COWLAB_BOOTSTRAP=$COWLAB_BOOTSTRAP\$" /proc/[0-9]*/environ 2>/dev/null |
    sed 's#/proc/\([0-9]*\)/.*#\1#' | while read -r pid; do kill "$pid" 2>/dev/null; done
finish
