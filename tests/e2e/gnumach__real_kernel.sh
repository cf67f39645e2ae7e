#!/bin/sh
# The scenarios that GNU Mach takes, on a real one under QEMU: expectations, chains of objects,
# frames, what is recorded. How long it takes: tests/bench/50-gnumach.sh.
. "$(dirname "$0")/lib.sh"

needs="GNU Mach kernel and QEMU (make deps-gnumach)"
if ! [ -r "$TOP/build/gnumach/guest" ] || ! command -v qemu-system-x86_64 >/dev/null; then
    skip "scenarios on a real GNU Mach" "$needs"
    finish
fi
export COWLAB_GNUMACH="$TOP/build/gnumach"
db=$TMP/t.db
sql() { sqlite3 "$db" "$@"; }

# Names of the small scenarios that gnumach takes: those of many megabytes run on their own.
small() { cowlab list | awk '$2 ~ /gnumach/ { print $1 }' | grep -Ev 'large|huge|published'; }

run_all() {
    # shellcheck disable=SC2046 # names
    cowlab run $(small) --backend gnumach --db "$db" >"$TMP/all" 2>&1 && return 0
    grep -A3 -E '^failed|^cowlab' "$TMP/all"
    return 1
}

ok "every small scenario holds in one boot" run_all

ok "each run answers its question, with values" equals "" sql \
    "SELECT scenario, answer FROM runs WHERE answer IS NULL OR answer LIKE '%not observed%'
     OR answer LIKE '%does not apply%' OR answer LIKE '%no such descriptor%' OR answer LIKE '%no message%'"

# A broken reading of needs_copy, of shadows or of references would change a row. Where XNU's rule
# says SM_COW for the child's copy, GNU Mach drops the covered object: SM_PRIVATE.
ok "fork-write: who has what, step by step" equals "1|parent|SM_EMPTY|0|0
2|parent|SM_PRIVATE|1|1
3|parent|SM_COW|2|1
3|child|SM_COW|2|1
4|parent|SM_COW|1|1
4|child|SM_PRIVATE|1|1
5|parent|SM_COW|1|1
5|child|SM_PRIVATE|1|1
6|parent|SM_PRIVATE|1|1
6|child|SM_PRIVATE|1|1" sql "SELECT step, observed, share_mode, ref_count, resident FROM timeline
    WHERE scenario = 'fork-write' AND step < 7 ORDER BY step, observed DESC"
ok "after fork both entries show one object, needing a copy" equals "1|1" sql \
    "SELECT count(DISTINCT number), min(needs_copy) FROM objects WHERE scenario = 'fork-write' AND step = 3"
ok "after some writes a shadow stands over that object" equals "2" sql \
    "SELECT count(*) FROM objects WHERE scenario = 'fork-write-many' AND step = 4 AND observed = 'child'"
ok "the shadow holds what was written and nothing else" equals "1" sql \
    "SELECT (SELECT resident FROM objects WHERE scenario = 'fork-write-many' AND step = 4
             AND observed = 'child' AND depth = 0) =
            (SELECT copied FROM timeline WHERE scenario = 'fork-write-many' AND step = 4 AND observed = 'child')"
ok "... and those checks were made" equals "1|1" sql \
    "SELECT (SELECT count(*) FROM checks WHERE name = 'cow_faults') > 10, (SELECT count(*) FROM checks WHERE name = 'object_pages') > 50"
ok "copied pages are what the kernel counts as copy-on-write faults" equals "" sql \
    "SELECT run_id, step FROM checks WHERE backend = 'gnumach' AND name = 'cow_faults' AND verdict <> 'held'"
ok "objects list as many pages as they count" equals "" sql \
    "SELECT run_id, step FROM checks WHERE backend = 'gnumach' AND name = 'object_pages' AND verdict <> 'held'"
ok "a run says which kernel, which QEMU, which packages" sh -c \
    "sqlite3 '$db' \"SELECT kernel || machine FROM runs LIMIT 1\" |
     grep -q 'GNU Mach.*\"emulator_version\":\"[0-9].*\"versions\":{\"suite\"'"
ok "frames are numbered per run, not physical addresses" equals "1" sql \
    "SELECT min(frame) = 1 AND max(frame) < 5000 FROM page_runs WHERE scenario = 'fork-write'"
ok "no prediction of a page's state failed" equals "1|0" sql \
    "SELECT count(*) > 50, sum(verdict = 'differs') FROM checks WHERE name = 'prediction'"
ok "a look without an action took no time" equals "1|0" sql \
    "SELECT count(*) > 0, max(dur_ns) FROM step WHERE action = 'checkpoint'"
ok "no page is in debt: its next write copies, or keeps its frame" equals 0 sql "SELECT count(*) FROM timeline WHERE debt > 0"

# Where a step wrote all pages of a region: what was at risk before and what it copied.
risk_and_copied() { # DB
    sqlite3 "$1" "SELECT b.at_risk, a.copied FROM timeline AS a JOIN timeline AS b USING (run_id, observed, region)
        WHERE b.step = a.step - 1 AND a.first_touch + a.copied + a.reused + a.no_fault = a.pages
          AND b.case_name IS a.case_name ORDER BY a.scenario, a.step"
}
risk_was_copied() { # DB
    risk_and_copied "$1" | awk -F'|' '$1 != $2 { wrong = 1; print "at risk " $1 ", copied " $2 } { n++ } END { exit wrong || !n }'
}
ok "what was at risk is what a write of all pages copied" risk_was_copied "$db"

# A fork whose child has gone leaves a chain that nobody else has: its first page is copied, and takes the rest with it.
cat >risk.json <<'END'
{ "scenario": "risk", "language": 1, "title": "What is at risk", "question": "How many frames does a write of all pages cost?",
  "actors": ["p", "c", "d", "e"], "steps": [
  { "phase": "mapped", "actor": "p", "map": { "region": "r", "pages": 256, "kind": "anonymous" } },
  { "phase": "populated", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "p", "fork": { "as": "c" } },
  { "phase": "released", "actor": "c", "exit": {} },
  { "phase": "settled", "actor": "p", "protect": { "region": "r", "protection": "r--" },
    "expect": { "p.r": { "at_risk": 0 } } },
  { "phase": "settled", "actor": "p", "protect": { "region": "r", "protection": "rw-" },
    "expect": { "p.r": { "at_risk": 1 } } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "B" },
    "expect": { "p.r": { "at_risk": 0 } } },
  { "phase": "transferred", "actor": "p", "fork": { "as": "d" } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "C" } },
  { "phase": "receiver_wrote", "actor": "d", "write": { "region": "r", "pages": "all", "stamp": "D" } },
  { "phase": "transferred", "actor": "p", "fork": { "as": "e" } },
  { "phase": "released", "actor": "e", "exit": {} } ] }
END
# Messages: a virtual copy of all, of which the receiver rewrites a part, and of a part; written by both sides.
cat >sent.json <<'END'
{ "scenario": "sent", "language": 1, "title": "What is at risk of what was sent", "question": "How many frames does a write of all pages cost?",
  "actors": ["p", "q"], "steps": [
  { "phase": "mapped", "actor": "p", "map": { "region": "r", "pages": 16, "kind": "anonymous" } },
  { "phase": "populated", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "in_transit", "actor": "p", "ool_send": { "region": "r", "to": "q", "copy": "virtual" } },
  { "phase": "received", "actor": "q", "ool_receive": { "region": "r" } },
  { "phase": "receiver_wrote", "actor": "q", "write": { "region": "r", "pages": { "range": [3, 4] }, "stamp": "B" } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "C" } },
  { "phase": "receiver_wrote", "actor": "q", "write": { "region": "r", "pages": "all", "stamp": "D" } },
  { "phase": "released", "actor": "q", "unmap": { "region": "r" } },
  { "phase": "in_transit", "actor": "p", "ool_send": { "region": "r", "to": "q", "copy": "virtual", "offset": 16384, "bytes": 20480 } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "E" } },
  { "phase": "in_transit", "actor": "p", "ool_send": { "region": "r", "to": "q", "copy": "virtual", "offset": 36864, "bytes": 8192 } },
  { "phase": "received", "actor": "q", "ool_receive": { "region": "r" } },
  { "phase": "receiver_wrote", "actor": "q", "write": { "region": "r", "pages": "all", "stamp": "F" } },
  { "phase": "released", "actor": "q", "unmap": { "region": "r" } },
  { "phase": "received", "actor": "q", "ool_receive": { "region": "r" } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "G" } },
  { "phase": "in_transit", "actor": "p", "ool_send": { "region": "r", "to": "q", "copy": "virtual", "deallocate": true } },
  { "phase": "released", "actor": "q", "unmap": { "region": "r" } },
  { "phase": "received", "actor": "q", "ool_receive": { "region": "r" } },
  { "phase": "receiver_wrote", "actor": "q", "write": { "region": "r", "pages": "all", "stamp": "H" },
    "expect": { "q.r": { "copied": 0, "reused": 16, "no_fault": 0 } } } ] }
END
# Three generations, each with pages of its own.
cat >generations.json <<'END'
{ "scenario": "generations", "language": 1, "title": "What is at risk of three generations", "question": "How many frames does a write of all pages cost?",
  "actors": ["p", "c", "g"], "steps": [
  { "phase": "mapped", "actor": "p", "map": { "region": "r", "pages": 12, "kind": "anonymous" } },
  { "phase": "populated", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "p", "fork": { "as": "c" } },
  { "phase": "receiver_wrote", "actor": "c", "write": { "region": "r", "pages": { "range": [4, 5] }, "stamp": "B" } },
  { "phase": "transferred", "actor": "c", "fork": { "as": "g" } },
  { "phase": "receiver_wrote", "actor": "g", "write": { "region": "r", "pages": { "range": [6, 2] }, "stamp": "C" } },
  { "phase": "released", "actor": "c", "exit": {} },
  { "phase": "receiver_wrote", "actor": "g", "write": { "region": "r", "pages": "all", "stamp": "D" } },
  { "phase": "sender_wrote", "actor": "p", "write": { "region": "r", "pages": "all", "stamp": "E" } } ] }
END
ok "forks and messages of which a part is left" cowlab run ./risk.json ./sent.json ./generations.json --backend gnumach --db risk.db
ok "what was at risk of them was copied" risk_was_copied risk.db
ok "... and these were the numbers" equals "0|0 7|7 1|1 0|0 1|1 256|256 1|1 0|0 16|16 1|1 5|5 5|5 2|2 0|0 " sh -c \
    "echo '$(risk_and_copied risk.db)' | tr '\n' ' '"
ok "no prediction failed, and each says what was promised" equals "\
cow pages that the write found as predicted (copied, or kept behind the first copy of a chain that nobody else has); all that it wrote|held
exclusive pages that the write found as predicted (kept in their frame, after a fault where the task had not touched them yet); all that it wrote|held
none pages that the write found as predicted (first touched); all that it wrote|held" sqlite3 risk.db \
    "SELECT DISTINCT detail, verdict FROM checks WHERE name = 'prediction' ORDER BY detail"
whole_report risk.db risk.md >report.out
ok "the finding is what a write of all costs" grep "next writes can still cost new frames: risk on gnumach 1 page (4 KiB)" risk.md

# Who has ended has no port that a child could be given a right to.
cat >family.json <<'END'
{ "scenario": "family", "language": 1, "title": "Forks after exits", "question": "Does the family live on?",
  "actors": ["a", "b", "c", "d", "e"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 4, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } },
  { "phase": "released", "actor": "b", "exit": {} },
  { "phase": "transferred", "actor": "a", "fork": { "as": "c" } },
  { "phase": "transferred", "actor": "c", "fork": { "as": "d" } },
  { "phase": "receiver_wrote", "actor": "d", "write": { "region": "r", "pages": { "range": [1, 2] }, "stamp": "D" } },
  { "phase": "released", "actor": "c", "exit": {} },
  { "phase": "transferred", "actor": "d", "fork": { "as": "e" } },
  { "phase": "sender_wrote", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "Z" } },
  { "phase": "released", "actor": "a", "exit": {} },
  { "phase": "receiver_wrote", "actor": "d", "write": { "region": "r", "pages": "all", "stamp": "Y" } },
  { "phase": "receiver_read", "actor": "e", "read": { "region": "r", "pages": { "range": [1, 2] }, "stamp": "D" } },
  { "phase": "receiver_wrote", "actor": "e", "write": { "region": "r", "pages": "all", "stamp": "E" } } ] }
END
# A shared page that was sent while its copy was shared too: a copy object never collapses into what lies above it, so that
# all its pages are copied. And an object that two tasks share collapses what lies below it all the same.
cat >copies.json <<'END'
{ "scenario": "copies", "language": 1, "title": "Copies of what is shared", "question": "What does each write copy?",
  "actors": ["a", "b", "c"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "s", "pages": 6, "kind": "shared" } },
  { "phase": "populated", "actor": "a", "write": { "region": "s", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "s", "to": "b", "copy": "virtual", "deallocate": true } },
  { "phase": "released", "actor": "b", "unmap": { "region": "s" } },
  { "phase": "received", "actor": "b", "ool_receive": { "region": "s" } },
  { "phase": "receiver_wrote", "actor": "b", "write": { "region": "s", "pages": { "every": 3 }, "stamp": "B" } },
  { "phase": "receiver_wrote", "actor": "b", "write": { "region": "s", "pages": "all", "stamp": "C" } },
  { "phase": "mapped", "actor": "a", "map": { "region": "p", "pages": 6, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "p", "pages": "all", "stamp": "P" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "p", "to": "b", "copy": "virtual" } },
  { "phase": "populated", "actor": "a", "write": { "region": "p", "pages": "first", "stamp": "Q" } },
  { "phase": "settled", "actor": "a", "inherit": { "region": "p", "inheritance": "share" } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "c" } },
  { "phase": "received", "actor": "b", "ool_receive": { "region": "p" } },
  { "phase": "released", "actor": "b", "unmap": { "region": "p" } },
  { "phase": "receiver_wrote", "actor": "c", "write": { "region": "p", "pages": "all", "stamp": "R" } },
  { "phase": "receiver_read", "actor": "a", "read": { "region": "p", "pages": "all", "stamp": "R" } } ] }
END
ok "copies of what is shared, and sharing of what is a copy" cowlab run ./copies.json --backend gnumach --db copies.db
ok "are predicted" equals "1|0" sqlite3 copies.db \
    "SELECT count(*) > 5, sum(verdict = 'differs') FROM checks WHERE name = 'prediction'"

# More messages on their way at once than there are regions.
cat >crowd.json <<'END'
{ "scenario": "crowd", "language": 1, "title": "Many messages", "question": "Is all of it seen?", "actors": ["a", "b", "c"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 4, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "r", "to": "b", "copy": "virtual" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "r", "to": "b", "copy": "virtual", "offset": 4096 } },
  { "phase": "in_transit", "actor": "a", "send": { "to": "c", "parts": [ { "ool": "r", "copy": "virtual" } ] } },
  { "phase": "received", "actor": "c", "receive": {} },
  { "phase": "receiver_read", "actor": "c", "read": { "region": "r", "pages": "all", "stamp": "A" } } ] }
END
ok "more messages than regions may be on their way" cowlab run ./crowd.json --backend gnumach --db crowd.db

ok "who has exited does not stand in the way of a fork" cowlab run ./family.json --backend gnumach --db family.db
ok "and its pages were what was predicted" equals "1|0" sqlite3 family.db \
    "SELECT count(*) > 3, sum(verdict = 'differs') FROM checks WHERE name = 'prediction'"
finish
