#!/bin/sh
# What a scenario says to its question: fork-debt's answer carries the numbers of each run, on both backends, for
# who sees all and who does not; it is printed, stored, and stands in reports.
. "$(dirname "$0")/lib.sh"

db=$TMP/t.db
shared="The parent: of what the dead child had shared its next write"
answer() { sqlite3 "$1" "SELECT answer FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1"; }

if has_cap debt; then
    told="$shared kept 3 pages and copied 0 pages; faults: 3. Faults of the write after that: 0."
    ok "the run prints it before its expectations" sh -c "COLUMNS=250 cowlab run fork-debt --param pages=3 --db '$db' |
        grep -x -A1 -F 'answer: $told' | grep '^expectations: '"
    ok "and stores it" equals "$told" answer "$db"
    ok "show prints it again" says "^answer: The parent: of what the dead child had shared " cowlab show --db "$db"
    ok "JSON has it" sh -c "cowlab show --json --db '$db' | jq -e --arg told '$told' '.run.answer == \$told'"
    ok "the page on the latest runs answers with it alone" sh -c "cowlab report --db '$db' | grep -F '$told' >page &&
        ! grep -F 'in step 6' page"
    ok "all on one run has it before what happened" says "kept 3 pages .* in step 6 parent reused 3 pages" \
        cowlab report latest --db "$db"
else
    skip "the answer of a run" debt
fi

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    ok "who does not see frames runs it" as_nobody cowlab run fork-debt --db n.db
    ok "and what is unknown is called that, its reason once" equals \
        "$shared kept unknown (page frame numbers need CAP_SYS_ADMIN) and copied unknown; faults: 64. Faults of the write after that: 0." \
        answer "$TMP/nobody/work/n.db"
else
    skip "the same as nobody" "root (to become nobody)"
fi

if [ -r "$TOP/build/gnumach/guest" ] && command -v qemu-system-x86_64 >/dev/null; then
    export COWLAB_GNUMACH="$TOP/build/gnumach"
    ok "GNU Mach runs it" cowlab run fork-debt --param pages=3 --backend gnumach --db "$db"
    ok "where it has other numbers" says "^$shared kept 2 pages and copied 1 page; " answer "$db"
else
    skip "the same on GNU Mach" "GNU Mach kernel and QEMU (make deps-gnumach)"
fi

cat >own.json <<'END'
{ "scenario": "own", "language": 1, "title": "Own", "question": "How much?", "actors": ["a"],
  "steps": [ { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 4, "kind": "anonymous" } },
             { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all" } } ] }
END
ok "a scenario without an answer runs" cowlab run ./own.json --db own.db
ok "none is printed" sh -c "! cowlab show --db own.db | grep '^answer'"
ok "the report says what happened, as ever" says "No write met memory" cowlab report --db own.db
sed -i 's/"all" } }/"all" }, "answer": "It has {a.r.residnet}." }/' own.json
ok "a wrong name is told with its place" says "own.json:3:[0-9]+: steps\[1\].answer: unknown key 'residnet', the nearest known is 'resident'" \
    cowlab run ./own.json --db own.db
ok "and nothing is run" exits 2 cowlab run ./own.json --db own.db
finish
