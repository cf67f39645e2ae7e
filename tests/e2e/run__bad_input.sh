#!/bin/sh
# Bad input: exit 2 with a message that names the place, and nothing written.
. "$(dirname "$0")/lib.sh"

cat >cow.json <<'END'
{
  "scenario": "cow", "language": 1, "title": "t", "question": "q",
  "actors": ["parent"], "no_twin": "a test",
  "steps": [
    { "phase": "mapped", "actor": "parent", "map": { "region": "r", "pages": 0, "kind": "anonymous" } }
  ]
}
END
ok "a bad scenario exits 2" exits 2 cowlab run cow.json --db t.db
ok "nothing was written" test ! -e t.db
ok "the place is named" says 'cow.json:5:[0-9]+: steps\[0\]' cowlab run cow.json --db t.db
ok "a caret points at it" says '^ +\^' cowlab run cow.json --db t.db
ok "an unknown scenario names the nearest" says 'fork-write' cowlab run fork-wrte --db t.db
ok "an unknown scenario exits 2" exits 2 cowlab run fork-wrte --db t.db
ok "an unknown backend exits 2" exits 2 cowlab run fork-write --backend vax --db t.db
ok "an unknown parameter exits 2" exits 2 cowlab run fork-write --param page=3 --db t.db
ok "a parameter out of range exits 2" exits 2 cowlab run fork-write --param pages=0 --db t.db
ok "an unknown option exits 2" exits 2 cowlab run --frobnicate
ok "no scenario exits 2" exits 2 cowlab run
ok "an unknown command exits 2" exits 2 cowlab frobnicate
ok "no database: show exits 2" exits 2 cowlab show --db nowhere.db
ok "show made no database" test ! -e nowhere.db
echo "not a database, but long enough to be taken for one ................................" >text.db
ok "a text file is not a database" exits 4 cowlab run fork-write --db text.db
ok "it is unharmed" says '^not a database' cat text.db
ok "a directory is not a database" exits 4 cowlab run fork-write --db /tmp
ok "more memory than there is: exit 3" exits 3 cowlab run fork-write --param pages=1000000000 --db t.db
ok "both numbers are named" says 'needs up to [0-9]+ MiB and [0-9]+ MiB are available' cowlab run fork-write --param pages=1000000000 --db t.db
sed 's/"pages": 0, "kind": "anonymous"/"pages": 1, "kind": "hugetlb"/' cow.json >huge.json
ok "huge pages where there are none: exit 3" exits 3 env COWLAB_DISABLE=hugetlb cowlab run huge.json --db t.db
ok "the capability is named" says "capability 'hugetlb' is missing" env COWLAB_DISABLE=hugetlb cowlab run huge.json --db t.db
ok "still nothing was written" test ! -e t.db
finish
