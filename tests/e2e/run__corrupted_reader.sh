#!/bin/sh
# A probe that lies is contradicted by a second source, in the database and in the report.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || { skip "corrupted readers" "frames (root)"; finish; }
differs() { sqlite3 "$1.db" "SELECT group_concat(name) FROM (SELECT DISTINCT name FROM checks WHERE verdict = 'differs' ORDER BY name)"; }
run() { COWLAB_CORRUPT=$1 cowlab run fork-write --db "$1.db" >/dev/null 2>&1; }

ok "nothing differs when all is well" exits 0 run none
ok "no check says so" equals "" differs none
run smaps
ok "smaps that counts a page too many" equals "smaps_process,smaps_rss" differs smaps
run pagemap
# Which pages it is, and with that what else notices, depends on the layout.
ok "a page table that misses a page" says smaps_process differs pagemap
run kpagecount
ok "a map count one too high" equals "smaps_pss" differs kpagecount
for reader in smaps pagemap kpagecount; do
    cowlab report --db $reader.db -o $reader.md 2>/dev/null
    ok "the report says that $reader was contradicted" grep -Eq 'comparisons? differs?' $reader.md
done
cowlab report --db none.db -o none.md 2>/dev/null
ok "and says nothing of the kind when all is well" sh -c '! grep -Eq "comparisons? differs?" none.md'
finish
