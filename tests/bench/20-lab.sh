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

echo "| what | measured | goal |"
echo "|---|---|---|"
echo "| \`cowlab run fork-write\`, new database, whole command | $(
    median_ms sh -c "rm -f '$db'; cowlab run fork-write --db '$db'") ms | 60 ms |"
echo "| \`cowlab run fork-write\`, database exists | $(median_ms cowlab run fork-write --db "$db") ms | 60 ms |"

# From one step's start to the next: action, looking, judging, storing, printing.
echo "| one whole step of fork-write, median | $(sqlite3 "$db" "
    WITH gap AS (SELECT start_ns - lag(start_ns) OVER (PARTITION BY run_id ORDER BY step) AS ns FROM steps)
    SELECT printf('%.2f', ns / 1e6) FROM gap WHERE ns IS NOT NULL ORDER BY ns
    LIMIT 1 OFFSET (SELECT count(ns) / 2 FROM gap)") ms | 1 ms |"

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
    echo "| the lab's peak RSS while it observes 2 GiB, forked and half of it written on both sides | $((peak / 1024)) MiB | 64 MiB |"
fi
echo "| USS of an idle actor | $(sqlite3 "$db" "SELECT uss_kb FROM footprint
    WHERE scenario = 'fork-write' AND step = 1 AND actor = 'parent' LIMIT 1") kB | 300 kB |"

i=0
while [ $i -lt 1000 ]; do
    i=$((i + 20))
    # shellcheck disable=SC2046 # twenty words are meant
    cowlab run $(yes fork-write | head -n 20) --db "$tmp/many.db" >/dev/null
done
echo "| report over a database of $(sqlite3 "$tmp/many.db" 'SELECT count(*) FROM runs') runs | $(
    median_ms cowlab report --db "$tmp/many.db" -o "$tmp/r.md" 2>/dev/null) ms | 3000 ms |"
