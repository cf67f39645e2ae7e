#!/bin/sh
# A snapshot by every way is one moment of a region that a thread goes on writing, and what is none is
# found; what was mapped for it is gone after; whoever is killed in the middle leaves nothing.
. "$(dirname "$0")/lib.sh"

chmod 777 "$TMP"
mkdir -m 1777 runs
export TMPDIR="$TMP/runs"
mark=cowlab-snapshot-$$
ours() { grep -lz "^COWLAB_SNAPSHOT_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
gone() {
    for _ in $(seq 1200); do
        left=$(ours)$(find "$TMPDIR" -mindepth 1)
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "left: $left"
    return 1
}

# snapshots NAME KIND STEP...: a scenario of its own; each STEP are the fields of a snapshot of 512 pages.
snapshots() {
    name=$1 kind=$2
    shift 2
    {
        printf '{ "scenario": "%s", "language": 1, "title": "t", "question": "q?", "actors": ["a"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 512, "kind": "%s" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } }' "$name" "$kind"
        for step; do printf ',\n  { "phase": "settled", "actor": "a", "snapshot": { "region": "r", %s } }' "$step"; done
        printf ',\n  { "phase": "receiver_read", "actor": "a", "read": { "region": "r", "pages": "all", "stamp": "A" } } ] }\n'
    } >"$name.json"
}
of() { sqlite3 "$1" "SELECT $2 FROM snapshots ORDER BY run_id, step"; }

# As fast as it can, and with most of the time between two touches slept away.
for way in plain fork userfaultfd ool_virtual; do
    [ $way != userfaultfd ] || has_cap userfaultfd || { skip "$way" userfaultfd; continue; }
    for rate in 0 500; do
        ok "$way at rate $rate runs" exits 0 cowlab run snapshot --param way=$way --param pages=1024 --param rate=$rate --db $way-$rate.db
        ok "$way at rate $rate: one moment, with touches before and during" equals 1 of $way-$rate.db \
            "consistent AND still_ns <= max_during_ns AND touches > 2 AND p50_before_ns > 0"
        ok "$way at rate $rate: nothing stays mapped" equals 1 sqlite3 $way-$rate.db \
            "SELECT max(virtual_kb) - min(virtual_kb) <= iif('$way' = 'ool_virtual', 4096, 0) FROM footprint WHERE step >= 2"
    done
done
ok "running runs" exits 0 cowlab run snapshot --param way=running --param pages=1024 --param rate=0 --db running.db
ok "... and is found to be no one moment" equals "0|1" of running.db "consistent, torn_pages > 0"
ok "an expectation that it is one fails" sh -c "sed 's/\"plain\", \"fork\", \"userfaultfd\", \"ool_virtual\"\\] },\$/\"running\"] },/' '$TOP/lab/scenarios/snapshot.json' >torn.json
    cowlab run ./torn.json --param way=running --param pages=1024 --param rate=0 --db torn.db >/dev/null; [ \$? -eq 1 ]"

# What a way copies: all, or what is written meanwhile.
ok "plain copies every page" equals 1024 of plain-0.db copied_pages
ok "fork copies what was written, and concludes it" equals "1|copied_pages" of fork-0.db "copied_pages <= 1024, inferred"
[ "$(of ool_virtual-0.db how)" = shared ] && ok "a message of ordinary memory shares it" true
if has_cap cgroup; then
    ok "a plain copy takes as much memory again" equals 1 of plain-500.db "added_kb BETWEEN 3500 AND 6144"
    ok "a fork at a low rate does not" equals 1 of fork-500.db "added_kb < 2048"
else
    skip "memory" cgroup
fi

# Numbers go on from those that a snapshot before has left, also those of another seed.
snapshots again malloc '"way": "fork", "rate": 0' '"way": "plain", "rate": 0, "seed": 9' '"way": "fork", "rate": 0, "lead_ms": 0' \
    '"way": "running", "rate": 0'
ok "four snapshots of malloc's memory" exits 0 cowlab run ./again.json --db again.db
ok "... the last is none" equals "1
1
1
0" of again.db consistent
snapshots sent purgeable '"way": "ool_virtual", "rate": 0'
ok "purgeable memory is copied by a message" exits 0 cowlab run ./sent.json --db sent.db
# Page by page, and the writer goes on: it need not be one moment.
ok "... and said to be" equals "copied|512" of sent.db "how, copied_pages"
ok "with one processor both take turns, and it is one moment all the same" exits 0 \
    taskset -c "$(taskset -pc $$ | sed 's/.*[^0-9]\([0-9]*\)$/\1/')" cowlab run snapshot --param pages=1024 --db one.db
ok "... which is said" equals "1|1" of one.db "cpus, consistent"

# What is refused.
refused() { # WHAT PATTERN KIND FIELDS
    snapshots refused "$3" "$4"
    ok "$1 is refused" exits 2 cowlab run ./refused.json --db t.db
    ok "... with the reason" says "$2" cowlab run ./refused.json --db t.db
}
refused "shared memory" 'private memory without a file' shared '"way": "fork"'
refused "userfaultfd of the layer's memory" 'memory of kind anonymous or malloc' ordinary '"way": "userfaultfd"'
refused "an unknown way" "unknown word 'frok', the nearest known is 'fork'" anonymous '"way": "frok"'
ok "a missing capability: exit 3" exits 3 env COWLAB_DISABLE=userfaultfd cowlab run snapshot --param way=userfaultfd --db t.db
ok "... is named" says "capability 'userfaultfd' is missing" env COWLAB_DISABLE=userfaultfd cowlab run snapshot --param way=userfaultfd --db t.db

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    for way in plain fork userfaultfd ool_virtual; do
        [ $way != userfaultfd ] || as_nobody cowlab doctor | grep -q 'userfaultfd *yes' || { skip "$way as nobody" userfaultfd; continue; }
        ok "$way as nobody" exits 0 as_nobody cowlab run snapshot --param way=$way --param pages=1024 --db $way.db
        ok "... is one moment" equals 1 of "$TMP/nobody/work/$way.db" consistent
        ok "... whose memory is known, or unknown with a reason" equals 1 sqlite3 "$TMP/nobody/work/$way.db" \
            "SELECT (peak_kb IS NOT NULL) + EXISTS (SELECT 1 FROM unknowns WHERE quantity = 'peak_kb' AND reason <> '') FROM snapshots"
    done
else
    skip "as nobody" "root (to become nobody)"
fi

# --- killed in the middle: the writer's thread is there for ten seconds before the copy ---

writing() { # the actor with a second thread is in $actor
    for _ in $(seq 3000); do
        for actor in $(ours); do
            [ "$(find "/proc/$actor/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -lt 2 ] || [ "$actor" = "$lab" ] || return 0
        done
        sleep 0.02
    done
    echo "not ok - no writer"
    exit 1
}
start() { # SECONDS-LONG WAY
    snapshots long anonymous "\"way\": \"$1\", \"lead_ms\": 10000"
    COWLAB_SNAPSHOT_MARK=$mark COWLAB_DEADLINE_MS="${2:-300000}" cowlab run ./long.json --db long.db >out 2>err &
    lab=$!
    writing
}
start fork
kill -9 "$actor"
wait $lab
status=$?
ok "a killed actor: exit 4" test $status -eq 4
ok "... is named" grep -Eq "actor 'a' \(pid [0-9]+\) (is gone|was killed by signal 9)" err
ok "... and nothing is left" gone
start userfaultfd
kill -9 $lab
wait $lab 2>/dev/null
ok "a killed lab leaves no actor" gone
start plain
kill -TERM $lab
wait $lab
status=$?
ok "a signal to the lab: exit 130" test $status -eq 130
ok "... and nothing is left" gone

# The child that reads: killed with its lab, or by itself.
child() {
    for _ in $(seq 3000); do
        child=$(for p in $(ours); do [ "$(sed -n 's/^PPid:\t//p' "/proc/$p/status" 2>/dev/null)" != "$actor" ] || echo "$p"; done)
        [ -z "$child" ] || return 0
        [ -d "/proc/$lab" ] || return 0
        sleep 0.002
    done
}
COWLAB_SNAPSHOT_MARK=$mark cowlab run snapshot --param pages=65536 --db long.db >out 2>err &
lab=$!
writing
child
kill -9 $lab 2>/dev/null
wait $lab 2>/dev/null
ok "a lab that is killed while the child reads leaves nothing" gone

# --- want of memory ---

case $BUILD in
*asan) skip "want of memory" "not with a sanitizer" ;;
*)
    ok "no memory for the copy: exit 4" sh -c 'prlimit --as=100000000 cowlab run snapshot --param way=plain --db less.db >out 2>err; [ $? -eq 4 ]'
    ok "... says what for, and which limit" grep -Eq "no memory for the snapshot: Cannot allocate memory.*RLIMIT_AS of the actor" err
    ok "... the run is failed, the steps before are kept" equals "failed|2" sqlite3 less.db "SELECT status, steps FROM runs"
    ok "... and nothing is left" gone
    ;;
esac

# --- single touches ---

cat >touches.json <<'END'
{ "scenario": "touches", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 2048, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A", "latency": true } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } },
  { "phase": "receiver_read", "actor": "b", "read": { "region": "r", "pages": { "every": 2 }, "stamp": "A", "latency": true } },
  { "phase": "receiver_wrote", "actor": "b", "write": { "region": "r", "pages": "first", "stamp": "B", "latency": true } },
  { "phase": "settled", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "C" } } ] }
END
ok "touches are timed" exits 0 cowlab run ./touches.json --db touches.db
ok "... each, where it is wanted" equals "2|2048|2048
4|1024|1024
5|1|1" sqlite3 touches.db "SELECT step, n, (SELECT sum(count) FROM latency_buckets b WHERE b.run_id = l.run_id AND b.step = l.step)
    FROM latencies l ORDER BY step"
ok "... percentiles follow each other up to the longest, which is exact" equals 0 sqlite3 touches.db \
    "SELECT count(*) FROM latencies l WHERE NOT (p50_ns <= max_ns AND ifnull(p99_ns >= p50_ns, n < 100) AND ifnull(p999_ns >= p99_ns, n < 1000)
     AND max_ns BETWEEN (SELECT max(low_ns) FROM latency_buckets b WHERE b.run = l.run AND b.step = l.step)
                    AND (SELECT max(high_ns) FROM latency_buckets b WHERE b.run = l.run AND b.step = l.step))"
ok "... of one touch there is no pause" equals 5 sqlite3 touches.db "SELECT step FROM latencies WHERE gap_ns IS NULL"
ok "... what timing takes is told" equals 1 sqlite3 touches.db "SELECT min(cost_ns > 0 AND empty_ns > 0 AND empty_ns <= 2 * cost_ns) FROM latencies"
ok "... and nothing stays mapped" equals 0 sqlite3 touches.db "SELECT max(virtual_kb) - min(virtual_kb) FROM footprint WHERE actor = 'a'  AND step > 1"
[ -e "$TOP/build/gnumach/guest" ] && ok "an emulator's clock is none for that" exits 3 cowlab run ./touches.json --backend gnumach --db t.db

# --- the report ---

ok "a report compares the ways" exits 0 cowlab report --db again.db -o again.md
cowlab run snapshot --param way=plain,fork,running --param pages=1024 --db ways.db >/dev/null 2>&1
cowlab report --db ways.db -o ways.md >/dev/null
cowlab report --db ways.db -o ways2.md >/dev/null
ok "... each in a row" equals 3 sh -c "sed -n '/^## Snapshots/,/^What it took/p' ways.md | grep -Ec '^\| (plain|fork|running) '"
ok "... and draws them" sh -c "xmllint --noout ways.assets/snapshots.svg 2>/dev/null || [ -s ways.assets/snapshots.svg ]"
ok "... the same each time" sh -c "sed 's/ways2/ways/g' ways2.md | cmp - ways.md"
finish
