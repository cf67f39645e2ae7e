#!/bin/sh
# The report over real runs: the same bytes twice, every query in it runs in the sqlite3 shell and
# gives rows, every picture is well-formed, a changed database gives another sentence.
. "$(dirname "$0")/lib.sh"

# Each query of a report, run against the database.
queries_run() {
    awk -v dir="$TMP" '
        /^```sql$/ { n++; file = dir "/q" n ".sql"; take = 1; next }
        /^```$/ { take = 0; next }
        take { print >file }
        END { exit n < 10 }' "$1" || { echo "fewer than ten queries"; return 1; }
    for q in "$TMP"/q*.sql; do
        sqlite3 -bail t.db <"$q" >"$TMP/rows" || { cat "$q"; return 1; }
        [ -s "$TMP/rows" ] || { echo "no rows:"; cat "$q"; return 1; }
    done
}

pictures_fine() {
    for p in "$1"/*.svg; do
        xmllint --noout "$p" || return 1
        rsvg-convert "$p" -o "$TMP/p.png" || return 1
    done
}

no_other_finding() {
    [ "$(grep -c 'Expectations.*none failed' again.md)" = 0 ] && grep -q '\*\*1 failed\*\*' again.md
}

# But for its pictures the document is the same; a full device is an error.
stdout_same() {
    all --db t.db >out.md || return 1
    grep -v '^!\[' one.md | cat -s >want
    grep -v '^\*Picture, written with -o' out.md | cat -s >got
    [ -s got ] && diff want got && ! cowlab report --db t.db >/dev/full
}

shorter() { [ "$(cowlab report --db t.db | wc -l)" -lt $(($(wc -l <one.md) / 4)) ]; }
all() { # the report with all of both runs; OPTION...
    # shellcheck disable=SC2046 # two ids
    cowlab report $(sqlite3 t.db "SELECT run_id FROM run") "$@"
}

ok "two scenarios run" exits 0 cowlab run fork-write fork-tree --db t.db
ok "the report is written" exits 0 all --db t.db -o one.md
mkdir other
ok "and once more" exits 0 all --db t.db -o other/one.md
ok "the same text, byte for byte" cmp one.md other/one.md
ok "the same pictures, byte for byte" diff -r one.assets other/one.assets
ok "every query behind a table runs and has rows" queries_run one.md
ok "without -o the text goes to standard output, without its pictures" stdout_same
if ! what=$(without xmllint rsvg-convert); then
    ok "every picture can be drawn" pictures_fine one.assets
else
    skip "every picture can be drawn" "$what"
fi
ok "no expectation failed" grep -q 'Expectations.*none failed' one.md
ok "one is made to" sqlite3 t.db "UPDATE expectation SET result = 'failed' WHERE (run, step, nr) = (SELECT run, step, nr FROM expectation ORDER BY run, step, nr LIMIT 1)"
ok "a report of the changed database" exits 0 cowlab report --db t.db -o again.md
ok "says so" no_other_finding
ok "the page is shorter" shorter
ok "a run that is not there is named" says "no run" cowlab report nosuchrun --db t.db -o x.md
finish
