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
ok "no page is in debt: its next write copies, or takes no fault" equals 0 sql "SELECT count(*) FROM timeline WHERE debt > 0"

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
