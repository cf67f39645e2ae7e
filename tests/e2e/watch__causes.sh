#!/bin/sh
# What a watch says first: what happened, and what to do about a known cause, where its evidence is there; of
# real processes that each do one thing. What none of them does is said of none: the last one writes to half
# of one large mapping, for which there is nothing to advise.
. "$(dirname "$0")/lib.sh"

needs "watches of known causes" /usr/bin/python3
if ! has_cap frames || ! has_cap kpagecount; then
    skip "watches of known causes" frames
    finish
fi

# Each waits for the file that lets it begin, and says by another that it is done.
cat >one.py <<'PY'
import ctypes, mmap, os, sys, time
what = sys.argv[1]
MIB, HUGE = 1 << 20, 2 << 20
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def until(name):
    while not os.path.exists(name + "." + what): time.sleep(0.02)
def say(name): open(name + "." + what, "w").close()
flags = mmap.MAP_SHARED if what == "shared" else mmap.MAP_PRIVATE
at = (libc.mmap(None, 34 * MIB, 3, flags | mmap.MAP_ANONYMOUS, -1, 0) + HUGE - 1) & ~(HUGE - 1)
if what == "split": libc.madvise(at, 32 * MIB, 14) # MADV_HUGEPAGE
if what != "shared": ctypes.memset(at, 1, 32 * MIB)
if os.fork() == 0:
    until("go")
    for i in range(0, 32 * MIB, HUGE):
        if what == "shared": ctypes.memset(at + i, 2, HUGE)
        elif what == "plain" and i < 16 * MIB: ctypes.memset(at + i, 2, HUGE - 4096)
        elif what == "split": ctypes.memset(at + i, 2, 1)
        elif what == "whole":
            ctypes.memset(at + i, 2, 1)
            if libc.madvise(at + i, HUGE, 25): say("cannot") # MADV_COLLAPSE
    say("done")
    time.sleep(60)
    os._exit(0)
say("ready")
time.sleep(60)
PY
wait_for() {
    tries=0
    until [ -e "$1" ] || [ $tries -ge 1200 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}
samples() { sqlite3 "$1.db" 'SELECT count(*) FROM watch_samples' 2>/dev/null || echo 0; }
wait_samples() {
    tries=0
    until [ "$(samples "$1")" -ge "$2" ] || [ $tries -ge 1200 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}
stop() { pkill -KILL -P "$server"; kill -KILL "$server"; wait "$server"; } 2>/dev/null
trap 'stop; rm -rf "$TMP"' EXIT
for what in shared plain split whole; do
    /usr/bin/python3 one.py $what &
    server=$!
    wait_for ready.$what
    cowlab watch $server --children --every 100ms --for 120s --db $what.db >/dev/null 2>$what.log &
    watcher=$!
    wait_samples $what 3
    touch go.$what
    wait_for done.$what
    wait_samples $what $(($(samples $what) + 3))
    kill -TERM $watcher
    wait $watcher
    stop
    cowlab show --db $what.db | awk '/^Used/ { on = 1 } /^$/ { on = 0 } on { sub(/^ +/, ""); printf "%s%s", sep, $0; sep = " " }' >$what.txt
done
ok "memory that grows, and nothing copied" says '^Used [0-9.]+ MiB -> [45][0-9.]+ MiB at [0-9.]+ s; .*copied.*; it can grow by .* more; .* free\.' cat shared.txt
ok "shared memory is named, with who maps it" says 'Shared memory: .* grew from 0 KiB to 32.0 MiB of the 3[24].0 MiB that it can have; 2 processes map it, none copied it' cat shared.txt
ok "who copied is named, how much, and when" says '^Used [0-9.]+ MiB -> [0-9.]+ MiB at [0-9.]+ s; python3\[[0-9]+\] copied (15|16)\.[0-9] MiB; it can grow by [1-3][0-9]\.[0-9] MiB more; [0-9.]+ .iB free\.$' cat plain.txt
ok "a mapping that is written to is no cause" equals 0 sh -c 'grep -Ec "Huge|Allocator|Save|Shared|late" plain.txt || :'
ok "the end of a watch says the same" says 'python3.[0-9]+. copied (15|16)\.' cat plain.log
if [ "$(sqlite3 split.db 'SELECT max(anon_huge_kb) FROM watch_samples')" -ge 16384 ]; then
    ok "huge pages that are split are no copies of 2 MiB" says 'Huge pages: [123][0-9]\.[0-9]+ MiB of them were split while [0-9]+ KiB was copied' cat split.txt
else
    skip "huge pages that are split" "transparent huge pages"
fi
if [ -e cannot.whole ]; then
    skip "copies of whole huge pages" "MADV_COLLAPSE"
else
    ok "copies of whole huge pages are" says 'Huge pages: python3\[[0-9]+\] copied 3[0-2]\.[0-9] MiB of 3[2-3]\.[0-9] MiB in whole huge pages' cat whole.txt
fi
sed 's/^/# /' shared.txt plain.txt split.txt whole.txt
finish
