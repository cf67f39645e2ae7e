#!/bin/sh
# The same commands as an ordinary user: everything runs; what cannot be seen is unknown, with a
# reason, and expectations on it are not checked: never passed, never 0.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || { skip "the unprivileged path" "root (to become nobody)"; finish; }
nobody_setup
db=$TMP/nobody/work/cowlab.db
sql() { sqlite3 -separator ' ' "$db" "$1"; }

ok "fork-write runs as nobody" exits 0 as_nobody cowlab run fork-write
ok "it says what was not checked" says 'not checked' as_nobody cowlab show
# A page that is mapped elsewhere too cannot be in debt: that is seen without root. Others can.
ok "debt is unknown, not 0" equals "0" sql "SELECT count(*) FROM timeline WHERE debt IS NOT NULL AND mapped > cow"
ok "some debt is unknown" equals "1" sql "SELECT count(*) > 0 FROM timeline WHERE debt IS NULL"
ok "every unknown has a reason" equals "0" sql "SELECT count(*) FROM unknowns WHERE coalesce(reason, '') = ''"
ok "NULLs of a region stand in unknowns" equals "0" sql "
    SELECT count(*) FROM timeline t WHERE t.debt IS NULL AND NOT EXISTS (SELECT 1 FROM unknowns u
    WHERE u.run_id = t.run_id AND u.step = t.step AND u.observed = t.observed AND u.quantity = 'debt')"
ok "shared after the fork is seen without root" equals "SM_COW 1" sql \
    "SELECT share_mode, cow FROM timeline WHERE step = 3 AND observed = 'child'"
ok "contents stayed isolated" equals "held" sql "SELECT DISTINCT verdict FROM checks WHERE name = 'stamps'"
ok "the doctor says how to see more" says 'setcap' as_nobody cowlab doctor
ok "the report is written" exits 0 as_nobody cowlab report -o report.md
ok "the report names what it could not see" grep -q CAP_SYS_ADMIN "$TMP/nobody/work/report.md"
finish
