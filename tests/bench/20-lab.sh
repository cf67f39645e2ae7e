#!/bin/sh
# The lab's own speed and size: 20-lab.sh BUILD_DIR. Prints a markdown table.
set -eu
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
PATH=$build:$PATH
db=$tmp/t.db

now_us() { echo $(($(date +%s%N) / 1000)); }

# Median wall time in ms of 11 runs of a command.
median_ms() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11; do
        t=$(now_us)
        "$@" >/dev/null
        echo $(($(now_us) - t))
    done | sort -n | awk 'NR == 6 { printf "%.1f", $1 / 1000 }'
}

# ratio A B: how many times B A is.
ratio() { awk "BEGIN { printf \"%.1f\", $1 / $2 }"; }

# The same rows as SQL text, for the shell that comes with SQLite: into a new database with all its
# tables and views.
cowlab run fork-write --db "$db" >/dev/null
sqlite3 "$db" .dump >"$tmp/dump.sql"
new=$(median_ms sh -c "rm -f '$db'; cowlab run fork-write --db '$db'")
shell=$(median_ms sh -c "rm -f '$tmp/peer.db'; sqlite3 '$tmp/peer.db' <'$tmp/dump.sql'")

echo "| what | measured | beside | goal |"
echo "|---|---|---|---|"
echo "| \`cowlab run fork-write\`, new database, whole command | $new ms |" \
    "$(ratio "$new" "$shell") times the sqlite3 shell putting the same rows into one ($shell ms) | 40 ms |"
echo "| \`cowlab run fork-write\`, database exists | $(median_ms cowlab run fork-write --db "$db") ms | | 40 ms |"

# From one step's start to the next: action, looking, judging, storing, printing.
gap="WITH gap AS (SELECT step, start_ns - lag(start_ns) OVER (PARTITION BY run_id ORDER BY step) AS ns FROM steps)"
median_gap() {
    sqlite3 "$1" "$gap, these AS (SELECT ns FROM gap WHERE ns IS NOT NULL AND step BETWEEN $2 AND $3)
        SELECT printf('%.2f', ns / 1e6) FROM these ORDER BY ns LIMIT 1 OFFSET (SELECT count(*) / 2 FROM these)"
}
# Two processes are looked at: what reading their smaps twice would cost, as each step does.
smaps=$(sqlite3 "$db" "SELECT printf('%.2f', avg(ns) / 1e6) FROM (SELECT sum(c.dur_ns) AS ns
    FROM cost AS c WHERE c.probe = 'smaps' AND c.step > 2 GROUP BY c.run, c.step)")
step=$(median_gap "$db" 2 7)
echo "| one whole step of fork-write, median | $step ms | $(ratio "$step" "$smaps") times the read of both" \
    "processes' smaps in it ($smaps ms) | 1 ms |"

# However many there are: a step far into a long scenario, and one near its start.
awk 'BEGIN {
    print "{ \"scenario\": \"long\", \"language\": 1, \"title\": \"t\", \"question\": \"q\", \"no_twin\": \"bench\","
    print "\"actors\": [\"p\"], \"steps\": ["
    print "{ \"phase\": \"mapped\", \"actor\": \"p\", \"map\": { \"region\": \"r\", \"pages\": 4, \"kind\": \"anonymous\" } }"
    for (i = 2; i <= 2000; i++)
        print ", { \"phase\": \"populated\", \"actor\": \"p\", \"write\": { \"region\": \"r\", \"pages\": \"all\", \"stamp\": \"A\" } }"
    print "] }" }' >"$tmp/long.json"
cowlab run "$tmp/long.json" --db "$tmp/long.db" >/dev/null
late=$(median_gap "$tmp/long.db" 1901 2000)
early=$(median_gap "$tmp/long.db" 3 102)
echo "| a step of a scenario with 2,000, median of the last 100 | $late ms | $(ratio "$late" "$early") times" \
    "the first 100 ($early ms) | 1.0 times |"

# The lab's peak while 2 GiB are observed, and the USS of an actor that has done nothing.
if [ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 6 ]; then
    cowlab run fork-write-many --param pages=524288 --param share=50 --db "$tmp/big.db" >/dev/null &
    lab=$!
    peak=0
    while kill -0 $lab 2>/dev/null; do
        p=$(awk '/VmHWM/ { print $2 }' /proc/$lab/status 2>/dev/null || true)
        [ "${p:-0}" -gt "$peak" ] && peak=$p
        sleep 0.02
    done
    wait $lab
    echo "| the lab's peak RSS while it observes 2 GiB, forked and half of it written on both sides | $((peak / 1024)) MiB | | 64 MiB |"
fi
echo "| USS of an idle actor | $(sqlite3 "$db" "SELECT uss_kb FROM footprint
    WHERE scenario = 'fork-write' AND step = 1 AND actor = 'parent' LIMIT 1") kB | | 300 kB |"

# The report of all scenarios, with its pictures, beside the answers to the queries that stand in it.
for scenario in $(cowlab list | awk '$2 ~ /linux/ { print $1 }'); do
    cowlab run "$scenario" --db "$tmp/all.db" >/dev/null 2>&1 || true # not everything can run everywhere
done
runs=$(sqlite3 "$tmp/all.db" "SELECT run_id FROM latest_runs")
# shellcheck disable=SC2086 # a run each
report_all() { cowlab report --db "$tmp/all.db" -o "$tmp/all.md" $runs 2>/dev/null; }
report_all
awk '/^```sql$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$tmp/all.md" >"$tmp/all.sql"
report=$(median_ms report_all)
shell=$(median_ms sqlite3 "$tmp/all.db" ".read $tmp/all.sql")
echo "| report of the $(echo "$runs" | wc -l) scenarios that can run here, on the disk | $report ms | $(ratio "$report" "$shell") times" \
    "the sqlite3 shell answering the $(grep -c ';$' "$tmp/all.sql") queries in it ($shell ms) | 1000 ms |"

i=0
while [ $i -lt 1000 ]; do
    i=$((i + 20))
    # shellcheck disable=SC2046 # twenty words are meant
    cowlab run $(yes fork-write | head -n 20) --db "$tmp/many.db" >/dev/null
done
echo "| report over a database of $(sqlite3 "$tmp/many.db" 'SELECT count(*) FROM runs') runs | $(
    median_ms cowlab report --db "$tmp/many.db" -o "$tmp/r.md" 2>/dev/null) ms | | 3000 ms |"
