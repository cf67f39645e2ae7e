#!/bin/sh
# Every shipped scenario: as root each expectation is checked and holds (one that is not checked
# here names what the machine lacks); as nobody what can be seen holds and nothing fails. Then the
# variants that parameters give.
. "$(dirname "$0")/lib.sh"

db=$TMP/cowlab.db
names=$(cowlab list | awk '{print $1}')
ok "there are scenarios" test -n "$names"

holds() {
    cowlab run "$@" --db "$db" >"$TMP/out" || { cat "$TMP/out"; return 1; }
    equals "1|complete" sqlite3 "$db" \
        "SELECT held > 0 AND failed = 0, status FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1"
}

for name in $names; do
    need=$(lacks "$name") && { skip "$name holds" "$need"; continue; }
    ok "$name holds" holds "$name"
done
if [ "$(id -u)" -eq 0 ] && has_cap debt; then
    ok "as root nothing is left unchecked" equals 0 sqlite3 "$db" "SELECT sum(not_checked) FROM runs"
else
    skip "as root nothing is left unchecked" "debt"
fi

for variant in "ool-options memory=ordinary" "ool-options memory=malloc" "ool-write pages=16" \
    "ool-write pages=16 memory=purgeable" "ool-write-many memory=malloc" "ool-zero memory=purgeable" \
    "ool-snapshot pages=17" "ool-transit memory=malloc" "ool-manual memory=malloc" \
    "ool-large bytes=16777216 memory=ordinary deallocate=true" \
    "ool-large bytes=16777216 memory=ordinary sender_rewrites=no" \
    "ool-two-large bytes=8388608 memory=ordinary sender_rewrites=no" "ool-two-large bytes=8388608 memory=ordinary" "fork-shared kind=memfd-shared" \
    "fork-file kind=memfd-private" "fork-prefork workers=8" "fork-prefork workers=1 pages=16" \
    "ool-zero pages=1" "ool-zero pages=8" "ool-zero pages=9" "fork-write pages=1000" "fork-snapshot pages=17" "handover way=memfd_sealed buffer=used" "fork-debt pages=20000"; do
    # shellcheck disable=SC2086 # a name and its settings
    set -- $variant
    name=$1
    shift
    need=$(lacks "$name") && { skip "$variant" "$need"; continue; }
    settings=$(printf -- ' --param %s' "$@")
    # shellcheck disable=SC2086
    ok "$variant" holds "$name" $settings
done

# An answer that names what is never there would say so.
ok "each run answers its question, with values" equals "" sqlite3 "$db" \
    "SELECT scenario, answer FROM runs WHERE answer IS NULL OR answer NOT GLOB '*[0-9a-z]*'
     OR answer LIKE '%not observed%' OR answer LIKE '%does not apply%' OR answer LIKE '%no such descriptor%'
     OR answer LIKE '%no message%' OR answer LIKE '%no text%'"

# Every page that was written was what its state said; of few could nothing be said before. Huge
# pages and swap have their own share of these.
ok "no prediction of a page's state failed" equals 0 sqlite3 "$db" "SELECT sum(failed) FROM predictions"
ok "no page was copied for a cause that does not show" equals 0 sqlite3 "$db" "SELECT sum(hidden) FROM predictions"
if [ "$(id -u)" -eq 0 ] && has_cap debt; then
    ok "each state was put to the test" equals "cow|debt|exclusive|none|object|shared" sqlite3 "$db" \
        "SELECT group_concat(state, '|') FROM (SELECT DISTINCT state FROM predictions
         WHERE held > 0 AND failed = 0 AND state NOT IN ('zero', 'swapped') ORDER BY state)"
    ok "the kernel decides of less than one page in a hundred" equals 1 sqlite3 "$db" \
        "SELECT sum(either) * 100 < sum(pages) FROM predictions
         WHERE scenario NOT IN ('fork-thp', 'ool-thp', 'fork-swap')"
else
    skip "each state was put to the test" "debt"
fi

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    db=$TMP/nobody/work/nobody.db
    for name in $names; do
        need=$(lacks "$name") && { skip "$name holds as nobody" "$need"; continue; }
        ok "$name holds as nobody" as_nobody cowlab run "$name" --db "$db"
    done
    ok "as nobody nothing failed" equals 0 sqlite3 "$db" "SELECT sum(failed) FROM runs"
    ok "as nobody much was checked all the same" equals 1 sqlite3 "$db" \
        "SELECT sum(held) > sum(not_checked) FROM runs"
else
    skip "the same as nobody" "root (to become nobody)"
fi
finish
