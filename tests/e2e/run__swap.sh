#!/bin/sh
# Memory in swap, in a swap file of the test's own: slots are shared by a fork and copied on write
# like frames; what the lab says of them holds against smaps, and the next write proves it.
. "$(dirname "$0")/lib.sh"

if ! swap_setup; then
    skip "pages in swap" "swap: no swap file could be made here"
    finish
fi
db=$TMP/swap.db
ok "doctor sees the swap space" says '^ *swap +yes' cowlab doctor
for settings in "" "pages=24" "pages=700"; do
    ok "fork-swap holds ${settings:-as shipped}" cowlab run fork-swap ${settings:+--param "$settings"} --db "$db"
done
if has_cap debt; then
    ok "all of it was checked" equals "102|0|0" sqlite3 "$db" \
        "SELECT sum(held), sum(failed), sum(not_checked) FROM runs"
    ok "every prediction held" equals "cow|exclusive|none|swapped" sqlite3 "$db" \
        "SELECT group_concat(state, '|') FROM (SELECT substr(detail, 1, instr(detail, ' ') - 1) AS state
         FROM checks WHERE name = 'prediction' AND detail NOT LIKE 'debt%' GROUP BY 1 HAVING min(verdict = 'held') ORDER BY 1)"
    ok "SwapPss agrees with the holders in view" equals "held" sqlite3 "$db" \
        "SELECT DISTINCT verdict FROM checks WHERE name = 'smaps_swap'"
    ok "no check differs" equals 0 sqlite3 "$db" "SELECT count(*) FROM checks WHERE verdict = 'differs'"
    ok "pages read back are cow while the parent holds their slots" equals "0|8|cow
8|16|exclusive
24|40|swapped" sqlite3 "$db" "SELECT first, count, state FROM page_runs WHERE observed = 'child' AND step = 6
         AND run_id = (SELECT run_id FROM runs ORDER BY started_at, run_id LIMIT 1) ORDER BY first"
else
    skip "pages of a run in swap" "debt"
fi
ok "a write from swap is a word of its own" equals swapped_in sqlite3 "$db" \
    "SELECT DISTINCT write_outcome FROM timeline WHERE step = 7 AND observed = 'parent'"
# shellcheck disable=SC2016 # the inner shell expands
ok "the observer's own tests with swap" sh -c '"$1" 2>&1 | tee "$2" | grep -E "(swapped|slots_are_shared|_in_swap__.*|_of_swap)$" |
    grep -c "^ok" | grep -qx 5 || { cat "$2"; exit 1; }' - "$BUILD/tests/unit/test_observer" "$TMP/observer"

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    db=$TMP/nobody/work/nobody.db
    ok "as nobody nothing fails" as_nobody cowlab run fork-swap --db "$db"
    ok "as nobody sharing is seen by SwapPss" equals "SM_COW|SM_COW" sqlite3 "$db" \
        "SELECT group_concat(share_mode, '|') FROM timeline WHERE step = 4"
    cat >"$TMP/nobody/work/shared.json" <<'END'
{ "scenario": "shared-in-swap", "language": 1, "title": "Shared memory in swap", "question": "Is it gone?", "no_twin": "-",
  "actors": ["a"], "steps": [
    { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 32, "kind": "shared" } },
    { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } },
    { "phase": "settled", "actor": "a", "madvise": { "region": "r", "advice": "PAGEOUT" } },
    { "phase": "sender_wrote", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "B" } } ] }
END
    ok "root sees shared memory in swap" cowlab run "$TMP/nobody/work/shared.json" --db "$TMP/shared.db"
    ok "... and that it came back" equals "32|0|32|held" sqlite3 "$TMP/shared.db" \
        "SELECT max(swapped), min(iif(step = 3, none, NULL)), max(swapped_in), (SELECT min(verdict) FROM checks) FROM timeline"
    ok "nobody does not take it for untouched" as_nobody cowlab run shared.json --db shared.db
    ok "... but says what cannot be asked" equals "none|swapped||0" sqlite3 "$TMP/nobody/work/shared.db" \
        "SELECT (SELECT group_concat(quantity, '|') FROM (SELECT DISTINCT quantity FROM unknowns
             WHERE step = 3 AND quantity IN ('none', 'swapped') ORDER BY 1)), max(swapped_in),
             (SELECT count(*) FROM checks WHERE verdict = 'differs') FROM timeline"
    ok "as nobody what a slot hides is unknown, and said" equals "at_risk|cow" sqlite3 "$db" \
        "SELECT group_concat(quantity, '|') FROM (SELECT DISTINCT quantity FROM unknowns
         WHERE reason = 'the kernel does not tell who else holds a page in swap' ORDER BY quantity)"
fi
finish
