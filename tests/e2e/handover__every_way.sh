#!/bin/sh
# hand_over and take: every way carries what was written, whole, and keeps both sides apart or says
# that it does not; who dies or stops in the middle, and what runs out, is told by name; nothing is left.
. "$(dirname "$0")/lib.sh"

mkdir -m 1777 runs
chmod 777 "$TMP"
export TMPDIR="$TMP/runs"
mark=cowlab-handover-$$
streams="socket packet pipe vmsplice vmsplice_gift"
calls="process_vm_readv process_vm_writev"
objects="memfd_shared memfd_sealed posix_shm"
messages="ool_virtual ool_physical"

of_last() { sqlite3 "$db" "SELECT $1 FROM $2 WHERE run_id = (SELECT run_id FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1)"; }
# Stamps are read before and after the sender's later write, and with the sender gone: each is an expectation.
holds() { # AS WAY SETTING...
    as=$1 way=$2
    shift 2
    # shellcheck disable=SC2046 # a list of settings
    $as cowlab run handover --param way="$way" $(printf -- ' --param %s' "$@") --db "$db" >out 2>&1 ||
        { cat out; return 1; }
    [ "$(of_last "failed || '|' || status" runs)" = "0|complete" ] || { cat out; return 1; }
    [ "$(of_last "sum(key = 'stamp' AND result = 'held')" expectations)" = 3 ] || { of_last '*' expectations; return 1; }
    case " $*" in *buffer=used*) shows=no ;; *) [ "$way" = memfd_shared ] && shows=yes || shows=no ;; esac
    [ "$(of_last "shows || '|' || survives || '|' || (received_ns > 0 AND read_ns > received_ns)" handovers)" = "$shows|yes|1" ] ||
        { of_last '*' handovers; return 1; }
}
every_way() { # AS
    for pages in 1 17 1024; do # 4 KiB, more than a pipe or a packet holds, more than any of them
        for way in $streams $calls $objects; do
            ok "$way, $pages pages, fresh${1:+, as nobody}" holds "$1" "$way" pages=$pages
            ok "$way, $pages pages, used${1:+, as nobody}" holds "$1" "$way" pages=$pages buffer=used
        done
        for way in $messages; do
            ok "$way, $pages pages${1:+, as nobody}" holds "$1" "$way" pages=$pages
        done
    done
}
db=$TMP/t.db
every_way ""
refused="out of line memory arrives where it arrives"
ok "a message into a region in use: cannot" exits 3 cowlab run handover --param way=ool_virtual --param buffer=used --db "$db"
ok "... and why" says "$refused" cowlab run handover --param way=ool_virtual --param buffer=used --db "$db"
# A message's 32 bits; the plan alone says so, whatever memory there is.
ok "a message of 4 GiB: cannot, and why" says "less than 4 GiB" cowlab run handover --param way=ool_virtual --param pages=1048576 --db "$db"

# Who did what, and what it cost them.
query() { sqlite3 "$db" "SELECT group_concat(x, ' ') FROM (SELECT DISTINCT $1 AS x FROM handovers WHERE way IN ($2) ORDER BY 1)"; }
in_sql() { echo "'$(echo "$*" | sed "s/ /', '/g")'"; }
# shellcheck disable=SC2086 # words
{
    ok "a stream is announced, then both act" equals "|both" query "ifnull(given_acted, '') || '|' || taken_acted" "$(in_sql $streams)"
    ok "of the calls one side acts" equals "process_vm_readv|receiver process_vm_writev|sender" query "way || ifnull(given_acted, '') || '|' || taken_acted" "$(in_sql $calls)"
    ok "objects and messages wait for the receiver" equals "sender|receiver" query "given_acted || '|' || taken_acted" "$(in_sql $objects $messages)"
}
ok "who acts has CPU time, who does not has none" equals 0 sqlite3 "$db" \
    "SELECT count(*) FROM handovers WHERE (ifnull(sender_cpu_ns, 0) > 0) <> (given_acted IS NOT NULL OR taken_acted IN ('sender', 'both'))
       OR (ifnull(receiver_cpu_ns, 0) > 0) <> (taken_acted <> 'sender')"
ok "CPU time is of those who act alone" equals 0 sqlite3 "$db" "SELECT count(*) FROM footprint WHERE NOT acting AND cpu_ns IS NOT NULL"
ok "... and of each write known" equals 0 sqlite3 "$db" \
    "SELECT count(*) FROM footprint f JOIN steps s USING (run_id, step) WHERE s.action = 'write' AND f.acting AND f.cpu_ns IS NULL"
cowlab watch --every 50ms --for 100ms --db w.db $$ >/dev/null
ok "in a watch nobody acts: no CPU time, and nothing unknown about it" equals "0|0" sqlite3 w.db \
    "SELECT (SELECT count(cpu_ns) FROM footprint) || '|' || (SELECT count(*) FROM unknowns WHERE quantity = 'cpu_ns')"
ok "an announced step has no time" equals 0 sqlite3 "$db" \
    "SELECT count(*) FROM handovers h JOIN steps s ON s.run_id = h.run_id AND s.step = given_step WHERE given_acted IS NULL AND dur_ns <> 0"
if has_cap frames && [ "$(id -u)" -eq 0 ]; then
    ok "what is copied into fresh memory is the receiver's own" equals "0|1024" sqlite3 "$db" \
        "SELECT max(f.region_frames) || '|' || min(t.exclusive) FROM handovers h JOIN sharing f ON f.run_id = h.run_id AND f.step = taken_step
           JOIN timeline t ON t.run_id = h.run_id AND t.step = taken_step AND t.observed = receiver
         WHERE way IN ($(in_sql "$streams $calls")) AND bytes = 4194304 AND buffer = 'fresh'"
else
    skip "what is copied into fresh memory is the receiver's own" frames
fi
if has_cap shmem_huge; then
    ok "memory objects of huge pages" holds "" memfd_shared pages=4096 huge=yes
    ok "... are in huge pages on both sides" equals 4096 of_last huge handovers
else
    skip "memory objects of huge pages" shmem_huge
fi
if has_cap thp; then
    for way in pipe process_vm_readv; do ok "$way with huge pages asked for" holds "" $way pages=4096 huge=yes; done
    ok "... into huge pages" equals 1 of_last "huge > 0" handovers
else
    skip "huge pages asked for" thp
fi

# A report has them all, though it is of the newest run alone; a way that cannot be is there with its reason.
cowlab report --db "$db" -o r.md >/dev/null
row() { sed -n '/^## Ways/,/^## F/p' r.md | grep -c "| $1 |"; }
# shellcheck disable=SC2086 # words
for way in $streams $calls $objects $messages; do ok "the report has $way" test "$(row $way)" -ge 3; done
ok "single runs give no verdict" grep -q 'an order of single runs, no verdict\.$' r.md
ok "what shares one memory is told" grep -Eq 'memfd_shared, [^;]*; nothing isolated\)' r.md

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    chmod 1777 "$TMP/runs"
    db=$TMP/nobody/work/nobody.db
    every_way as_nobody
    ok "memory objects of huge pages need root" says "capability 'shmem_huge' is missing \(Operation not permitted\)" \
        as_nobody cowlab run handover --param way=memfd_shared --param huge=yes --db "$db"
else
    skip "the same as nobody" "root (to become nobody)"
fi
db=$TMP/d.db

# --- in the middle ---

ours() { grep -lz "^COWLAB_HANDOVER_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
named_memory() { find /dev/shm -name "cowlab-run-$lab-*"; }
gone() {
    for _ in $(seq 1200); do
        left="$(ours)$(named_memory)$(ls runs)"
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "left behind: $left"
    return 1
}
actor() { # sender, receiver: in the order of their birth
    [ "$1" = sender ] && nr=1 || nr=2
    ours | while read -r p; do grep -qz -- --keeper "/proc/$p/cmdline" || [ "$p" = "$lab" ] || echo "$p"; done | sort -n | sed -n "${nr}p"
}
kill_now() {
    kill -9 "$1"
    while [ -e "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null; do sleep 0.01; done
}
# hold WAY STEP [DEADLINE_MS]: 3 is the hand_over, 4 the take.
hold() {
    hold_run "$2" env COWLAB_HANDOVER_MARK=$mark COWLAB_DEADLINE_MS="${3:-300000}" cowlab run handover --param way="$1" \
        --param pages=4096 --db "$db"
}
for way in pipe process_vm_readv memfd_sealed posix_shm; do
    hold $way 4
    kill_now "$(actor sender)"
    go_on
    ok "$way, the sender killed before the take: exit 4" test "$status" -eq 4
    ok "... it is named" grep -Eq "actor 'sender' \(pid [0-9]+\) (is gone|was killed by signal 9)" err
    ok "... and nothing is left" gone
done
for way in socket vmsplice; do
    hold $way 4 3000
    kill -STOP "$(actor sender)"
    go_on
    ok "$way, the sender stopped: the deadline ends it" test "$status" -eq 4
    ok "... it is named" grep -q "actor 'sender' .* gave no answer within .* ms; its state is T (stopped)" err
    ok "... and nothing is left" gone
    hold $way 4
    kill -STOP "$(actor sender)"
    echo >&3
    receiver=$(actor receiver)
    for _ in $(seq 3000); do # until it waits for the first byte: in read(2) of the channel
        grep -Eq '^(0|19) ' "/proc/$receiver/syscall" 2>/dev/null && break
        [ -r "/proc/$receiver/syscall" ] || break
        sleep 0.02
    done
    kill_now "$receiver"
    end_run
    ok "$way, the receiver killed while it waits: exit 4" test "$status" -eq 4
    ok "... it is named" grep -Eq "actor 'receiver' \(pid [0-9]+\) (is gone|was killed by signal 9)" err
    ok "... and nothing is left" gone
done
hold posix_shm 4
ok "shared memory with a name waits for the receiver" test -n "$(named_memory)"
kill -9 "$lab" # with the object there
end_run
ok "the lab killed: nothing is left, no shared memory either" gone

# --- what runs out ---

case $BUILD in
*asan) skip "address space" "not with a sanitizer" ;;
*)
    for way in pipe memfd_shared; do
        hold $way 4
        prlimit --pid "$(actor receiver)" --as=10000000
        go_on
        ok "$way, no address space for it: exit 4" test "$status" -eq 4
        ok "... with the limit" grep -Eq "actor 'receiver': cannot (reserve address space|map the region): Cannot allocate memory: 16777216 bytes \(RLIMIT_AS" err
        ok "... and nothing is left" gone
    done
    ;;
esac
for way in memfd_sealed posix_shm; do
    hold $way 3
    prlimit --pid "$(actor sender)" --fsize=65536
    go_on
    ok "$way, no room for the object: exit 4" test "$status" -eq 4
    ok "... the way is named" grep -Eq "actor 'sender': cannot put the region into (a sealed memfd|shared memory \(shm_open\)): File too large" err
    ok "... and nothing is left" gone
done
few_descriptors() {
    for n in $(seq 10 30); do
        rm -f few.db*
        prlimit --nofile="$n" cowlab run handover --param way="$1" --db few.db >out 2>err
        case $? in
        0) [ "$(sqlite3 few.db "SELECT failed FROM runs")" = 0 ] || { echo "$n descriptors: failed"; return 1; } ;;
        4) grep -Eq 'Too many open files|No file descriptors|exited unasked' err || { echo "$n descriptors:"; cat err; return 1; } ;;
        *) cat err; return 1 ;;
        esac
    done
}
for way in pipe memfd_sealed posix_shm; do ok "few descriptors, $way" few_descriptors $way; done
ok "nothing is left of all that" sh -c '! ls runs | grep -q .'
finish
