#!/bin/sh
# A series: all combinations, counted and to warm up, in the order of the seed, summed up on the screen
# and as one document; what cannot run is left out, what is wrong starts nothing; what was finished
# stays when it is interrupted or killed.
. "$(dirname "$0")/lib.sh"

db=$TMP/t.db
sql() { sqlite3 -separator ' ' "$db" "$1"; }
latest() { sql "SELECT series_id FROM series ORDER BY started_at DESC LIMIT 1"; }
# The combinations of a series in the order of its runs.
order_of() { sql "SELECT scenario, setting FROM series_runs WHERE series_id = '$1'"; }

ok "two scenarios, three values, two of what one of them has not" exits 0 \
    cowlab run fork-write ool-write --param pages=1,4..16x4 --param memory=ordinary,purgeable --repeat 2 --seed 7 --db "$db"
first=$(latest)
ok "... are nine combinations, three times each" equals "9 27 18 9" sql \
    "SELECT count(DISTINCT scenario || params), count(*), sum(NOT warm_up), sum(warm_up) FROM series_runs"
ok "... and what was asked is kept" equals '7 2 27 ["1","4","16"] ["ordinary","purgeable"] ["fork-write","ool-write"] ["linux"]' sql \
    "SELECT seed, repeat, planned, spec ->> '$.params.pages', spec ->> '$.params.memory', spec ->> '$.scenarios',
            spec ->> '$.backends' FROM series"
ok "... all of them complete" equals "complete" sql "SELECT DISTINCT status FROM series_runs"
ok "... the first of each to warm up" equals "0" sql "
    SELECT count(*) FROM series_runs a JOIN series_runs b USING (scenario, params)
    WHERE a.warm_up AND NOT b.warm_up AND b.started_at < a.started_at"
ok "runs say which series they are of" equals "27" sql "SELECT count(*) FROM runs WHERE series_id = '$first'"
ok "it is summed up" says 'seed 7; 27 of 27 runs: 18 counted, 9 to warm up$' cowlab show "$first" --db "$db"
ok "... with each combination" says '^  pages=16 memory=purgeable +2 +[0-9.]+ [nµm]?s$' cowlab show "$first" --db "$db"
ok "... and where to look next" says "cowlab report $first -o report.html --db " cowlab show "$first" --db "$db"
ok "a part of its id is enough" says "^$first" cowlab show "${first%??}" --db "$db"
ok "no such series: exit 2" exits 2 cowlab show series-nowhere --db "$db"
cowlab run fork-write ool-write --param pages=1,4,16 --param memory=ordinary,purgeable --repeat 2 --seed 7 --db "$db" >/dev/null 2>&1
second=$(latest)
same_order() { [ "$first" != "$second" ] && order_of "$first" >a && order_of "$second" >b && cmp a b; }
ok "the same seed gives the same order" same_order
adjacent() { # Within a round each fork stands between or beside its two twins.
    order_of "$first" | awk '{ split($2, p, "="); key = p[2]; if (key != last) n[key]++; last = key }
        END { for (k in n) if (n[k] > 3) { print k, n[k]; bad = 1 }; exit bad }'
}
ok "twins stand beside each other in each round" adjacent
ok "a report has one run of each combination" says "^9 runs" cowlab report "$first" --db "$db"

# One document.
ok "--json is one document" sh -c "cowlab run fork-write --param pages=1K,2 --repeat 1 --json --db '$db' >doc.json && jq -e . doc.json"
ok "... with what was asked" jq -e '.series.spec.params.pages == ["1024", "2"] and .series.repeat == 1' doc.json
ok "... and every run" jq -e '[.runs[] | [.params.pages, .warm_up, .status]] | sort == [[2, 0, "complete"], [2, 1, "complete"],
    [1024, 0, "complete"], [1024, 1, "complete"]]' doc.json
ok "... and each combination" jq -e '.combinations | map(.params.pages) == [1024, 2] and all(.n == 1 and .low == null and .median > 0)' doc.json
ok "... also later" sh -c "cowlab show \$(jq -r .series.series_id doc.json) --json --db '$db' | cmp - doc.json"

# What is no series.
ok "one run is a run as ever" says '^step  phase and action' cowlab run fork-write --repeat 1 --param pages=1K --db plain.db
ok "... and of no series" equals "1024 1" sqlite3 -separator ' ' plain.db \
    "SELECT params ->> '$.pages', series_id IS NULL AND warm_up IS NULL FROM runs"
ok "a comma that belongs to a value" says "'a,b' is not one of the allowed values|not one of" \
    cowlab run ool-write --param 'memory=a\,b' --db none.db

# What is wrong: 2, and nothing starts.
ok "a bad value among good ones" exits 2 cowlab run fork-write --param pages=1,0 --repeat 2 --db none.db
ok "... its place" says 'below the minimum' cowlab run fork-write --param pages=1,0 --repeat 2 --db none.db
ok "a bad value beside what cannot run" exits 2 cowlab run fork-exec fork-write --backend linux,gnumach --param pages=1,0 --db none.db
ok "a value that stands twice" exits 2 cowlab run fork-write --param pages=1K,1024 --db none.db
ok "a scenario that stands twice" exits 2 cowlab run fork-write fork-write --repeat 2 --db none.db
ok "an empty value" exits 2 cowlab run fork-write --param pages=1,,2 --db none.db
ok "a range without end" exits 2 cowlab run fork-write --param pages=1..4x1 --db none.db
ok "a number beyond all" says 'which is too large' cowlab run fork-write --param pages=9999999999999G --db none.db
ok "a parameter that no scenario has" says "no parameter 'memry'" cowlab run fork-write ool-write --param memry=1,2 --db none.db
ok "... 2 as well" exits 2 cowlab run fork-write ool-write --param memry=1,2 --db none.db
ok "a backend that is none" exits 2 cowlab run fork-write --backend linux,vax --db none.db
ok "--pause" exits 2 cowlab run fork-write --repeat 2 --pause --db none.db
ok "--repeat 0" exits 2 cowlab run fork-write --repeat 0 --db none.db
ok "--repeat of text" exits 2 cowlab run fork-write --repeat 3x --db none.db
ok "--seed of no series" exits 2 cowlab run fork-write --seed 3 --db none.db
ok "nothing was written" test ! -e none.db

# What this machine cannot: said once, left out, 3.
ok "a combination that cannot run" exits 3 cowlab run fork-write --param pages=1,1000000000 --repeat 3 --db some.db
ok "... the others do" equals "4 pages=1" sqlite3 -separator ' ' some.db "SELECT count(*), min(setting) FROM series_runs"
once() { [ "$(cowlab run fork-write --param pages=1,1000000000 --repeat 3 --db some.db 2>&1 | grep -c 'left out pages=1000000000: .*needs up to')" = 1 ]; }
ok "... and it is said once" once
ok "nothing that can run" exits 3 cowlab run fork-exec --backend gnumach --repeat 3 --db none.db
ok "... writes nothing" test ! -e none.db

# Interrupted, killed: a marked environment finds what is left.
mark=cowlab-series-$$
ours() { grep -lz "^COWLAB_SERIES_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
begin() { # DB: starts a series and waits for its tenth run; its pid is in $lab
    # A shell's background command ignores Ctrl-C: env gives it back.
    COWLAB_SERIES_MARK=$mark env --default-signal=INT cowlab run fork-write --param pages=1,2 --repeat 5000 --db "$1" >out 2>err &
    lab=$!
    for _ in $(seq 3000); do
        [ "$(sqlite3 "$1" "SELECT count(*) FROM run WHERE status = 'complete'" 2>/dev/null || echo 0)" -lt 10 ] || return 0
        sleep 0.02
    done
    echo "not ok - the series does not come to its tenth run"
    cat err
    exit 1
}
nothing_left() {
    for _ in $(seq 200); do
        [ -n "$(ours)" ] || return 0
        sleep 0.05
    done
    ours
    return 1
}
begin int.db
kill -INT "$lab"
wait "$lab"
status=$?
ok "Ctrl-C ends it with 130" test "$status" = 130
ok "... what was finished stays" says '^1 1 1$' sqlite3 -separator ' ' int.db \
    "SELECT count(*) >= 10, sum(status <> 'complete') <= 1, sum(status = 'running') = 0 FROM runs"
ok "... and is summed up" grep -Eq 'of 10,002 runs: [0-9]+ counted, 2 to warm up' out
ok "... and nothing is left" nothing_left
begin kill.db
kill -9 "$lab"
wait "$lab" 2>/dev/null
ok "kill -9 leaves no process" nothing_left
cowlab run fork-write --db kill.db >/dev/null 2>&1
ok "... what was finished stays, one at most is marked" equals "1 1 0" sqlite3 -separator ' ' kill.db \
    "SELECT sum(status = 'complete') >= 10, sum(status = 'crashed') <= 1, sum(status = 'running') FROM series_runs"
ok "... and can be looked at" says 'of 10,002 runs' cowlab show series- --db kill.db
reported() { cowlab report series- --db kill.db >kill.md && grep -q '^2 runs' kill.md; }
ok "... and reported on" reported

# An ordinary user.
if [ "$(id -u)" = 0 ]; then
    nobody_setup
    ok "as nobody" exits 0 as_nobody cowlab run fork-write ool-write --param pages=1,16 --repeat 2
    ok "... all of it" equals "12 complete" sqlite3 -separator ' ' "$TMP/nobody/work/cowlab.db" \
        "SELECT count(*), group_concat(DISTINCT status) FROM series_runs"
    ok "... says what was not checked" says '[1-9][0-9]* not checked' as_nobody cowlab show series-
else
    skip "as nobody" "root (to become nobody)"
fi

# A guest beside this machine's processes.
if [ -r "$TOP/build/gnumach/guest" ] && command -v qemu-system-x86_64 >/dev/null; then
    export COWLAB_GNUMACH="$TOP/build/gnumach"
    ok "on two backends" exits 0 cowlab run fork-write ool-write --param pages=16,32 --repeat 2 --backend linux,gnumach --db two.db
    ok "... all complete" equals "linux 12 complete;gnumach 12 complete" sqlite3 two.db "
        SELECT group_concat(backend || ' ' || n, ';') FROM (SELECT backend, count(*) || ' ' || group_concat(DISTINCT status) AS n
        FROM series_runs GROUP BY backend ORDER BY backend DESC)"
    # Never both at once: in each round one backend's runs follow the other's.
    ok "... in turns" says '^[2-6]$' sqlite3 two.db "SELECT sum(change) FROM (SELECT backend IS NOT lag(backend) OVER
        (ORDER BY started_at, run_id) AS change FROM run)"
    ok "... whose times are said to be emulated" says '^ool-write on gnumach .emulated' cowlab show series- --db two.db
    ok "many runs in one guest" exits 0 cowlab run fork-write --param pages=1,2 --repeat 60 --backend gnumach --db many.db
    ok "... all complete" equals "122 complete" sqlite3 -separator ' ' many.db \
        "SELECT count(*), group_concat(DISTINCT status) FROM series_runs"
    ok "what GNU Mach has no word for is left out" exits 3 cowlab run fork-exec --backend linux,gnumach --db two.db
else
    skip "on two backends" "GNU Mach kernel and QEMU (make deps-gnumach)"
fi
finish
