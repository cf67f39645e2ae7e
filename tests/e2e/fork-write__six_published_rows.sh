#!/bin/sh
# The central promise: the six published steps, measured, with the published share modes, reference
# counts and resident pages. A broken kernel (or lab) would show another row.
. "$(dirname "$0")/lib.sh"

db=$TMP/t.db
sql() { sqlite3 -separator ' ' "$db" "$1"; }

ok "the scenario runs and every expectation holds" exits 0 cowlab run fork-write --db "$db"
if has_cap debt; then
    ok "six rows as published for XNU" equals "parent SM_EMPTY 0 0
parent SM_PRIVATE 1 1
child SM_COW 2 1
child SM_PRIVATE 1 1
parent SM_COW 1 1
parent SM_PRIVATE 1 1" sql "
    SELECT observed, share_mode, ref_count, resident FROM timeline
    WHERE (step, observed) IN ((1, 'parent'), (2, 'parent'), (3, 'child'), (4, 'child'), (5, 'parent'), (6, 'parent'))
    ORDER BY step"
    ok "the child's write took a new frame" equals "copied 1" sql \
        "SELECT write_outcome, copied FROM timeline WHERE step = 4 AND observed = 'child'"
    ok "the parent's last write kept its frame" equals "reused 1 0" sql \
        "SELECT write_outcome, reused, copied FROM timeline WHERE step = 6 AND observed = 'parent'"
    ok "published and measured agree" equals "18 18" sql \
        "SELECT count(*), sum(same) FROM published WHERE scenario = 'fork-write' AND backend = 'linux'"
else
    skip "six rows as published for XNU" debt
fi
ok "every check held" equals "0" sql "SELECT count(*) FROM checks WHERE verdict <> 'held' AND verdict <> 'not checked'"
ok "the database is sound" equals "ok" sql "PRAGMA integrity_check"
ok "no foreign key dangles" equals "" sql "PRAGMA foreign_key_check"
ok "16 pages as well" exits 0 cowlab run fork-write --db "$db" --param pages=16
ok "show finds it again" says 'receiver_wrote' cowlab show --db "$db"
ok "JSON is JSON" sh -c "cowlab run fork-write --db '$db' --json | jq -e '.run.scenario == \"fork-write\"'"
ok "a report without a file goes to standard output" says '^## Answers' cowlab report --db "$db"
ok "a report names its pictures there" says 'Picture, written with -o' cowlab report --db "$db"
finish
