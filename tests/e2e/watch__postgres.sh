#!/bin/sh
# cowlab watch over PostgreSQL backends that all read the same table through shared buffers: where RSS
# lies most. Each backend's RSS counts every shared page that it has touched, so that their sum is
# several times what the machine gave; PSS and distinct frames say what it really is.
# A broken kernel (or watch) would show a sum of PSS that is not that of the frames.
# shellcheck disable=SC2086,SC2012 # $as is a command and its arguments; version directories sort well
. "$(dirname "$0")/lib.sh"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb 2>/dev/null || echo /none/initdb)")
[ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] || { skip "watch over PostgreSQL" "postgresql (make deps)"; finish; }
# The server refuses to run as root.
if [ "$(id -u)" -eq 0 ]; then
    user=postgres
    id $user >/dev/null 2>&1 || user=nobody
    as="setpriv --reuid=$(id -u $user) --regid=$(id -g $user) --clear-groups --"
else
    as="env"
fi
pg=$TMP/pg
mkdir "$pg"
[ "$(id -u)" -ne 0 ] || chown "$(id -u $user):$(id -g $user)" "$pg"
cd "$pg" || exit 1
$as "$bin/initdb" -D "$pg/data" -U cow -A trust --no-sync >"$TMP/initdb.log" 2>&1 || {
    ok "initdb works" cat "$TMP/initdb.log"
    ok "initdb works" false
    finish
}
$as "$bin/postgres" -D "$pg/data" -k "$pg" -c listen_addresses= -c shared_buffers=128MB -c fsync=off \
    -c autovacuum=off -c max_parallel_workers_per_gather=0 -c huge_pages=off \
    -c synchronize_seqscans=off >"$TMP/postgres.log" 2>&1 &
server=$!
trap 'exec 8>&-; kill -INT $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$TMP"' EXIT
sql() { $as "$bin/psql" -h "$pg" -U cow -d postgres -qAt -c "$1"; }
tries=0
until sql 'SELECT 1' >/dev/null 2>&1 || [ $tries -ge 2400 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
# 300,000 rows of 200 bytes: some 70 MiB. A sequential scan of more than a quarter of the buffers
# would keep to a ring of its own; bitmap scans by the index do not.
sql "CREATE TABLE t AS SELECT i AS id, repeat('x', 200) AS v FROM generate_series(1, 300000) i;
     CREATE INDEX ON t (id); ANALYZE t" >/dev/null
mkfifo hold
for i in 1 2 3 4 5 6; do
    {
        echo "SET enable_seqscan = off; SET enable_indexonlyscan = off;"
        echo "SELECT sum(length(v)) FROM t WHERE id > 0;"
        echo "\\! touch $pg/done.$i"
        cat <hold
    } | $as "$bin/psql" -h "$pg" -U cow -d postgres -qAt >"$TMP/psql.$i.log" 2>&1 &
done
exec 8>hold
tries=0
while [ $tries -lt 400 ]; do
    n=0
    for i in 1 2 3 4 5 6; do
        [ ! -e "$pg/done.$i" ] || n=$((n + 1))
    done
    [ $n -lt 6 ] || break
    tries=$((tries + 1))
    sleep 0.05
done
cd "$TMP" || exit 1
ok "six backends have read the table" test "$n" -eq 6
ok "the watch runs to its time" exits 0 timeout 300 cowlab watch $server --children --every 200ms --for 1s --db w.db
exec 8>&-

query() { sqlite3 w.db "$1"; }
ok "it saw the server and its backends" test "$(query 'SELECT count(*) FROM watch_processes')" -ge 7
if has_cap frames && has_cap kpagecount; then
    last="step = (SELECT max(step) FROM watch_samples)"
    ok "the sum of RSS is more than three times the distinct frames" test "$(query "
        SELECT sum_rss_kb > 3 * distinct_kb FROM watch_samples WHERE $last")" -eq 1
    # What processes outside (libraries in use elsewhere) share makes PSS smaller than the frames.
    ok "the sum of PSS is that of the frames, within 10 % and 4 MiB" test "$(query "
        SELECT abs(sum_pss_kb - distinct_kb) <= distinct_kb / 10 + 4096 FROM watch_samples WHERE $last")" -eq 1
    ok "the memory in common is shared memory, not copy-on-write" test "$(query "
        SELECT sum(shared) > 4 * sum(cow + object) FROM watch_regions
        WHERE step = 1 AND range_end - range_start > 100000000")" -eq 1
    ok "so that only little of it is at risk" test "$(query "
        SELECT max(at_risk_kb) * 4 < max(rss_kb) FROM footprint")" -eq 1
    query "SELECT printf('# RSS %d MiB, PSS %d MiB, frames %d MiB', sum_rss_kb / 1024, sum_pss_kb / 1024,
        distinct_kb / 1024) FROM watch_samples WHERE $last"
else
    skip "sums against frames" frames
fi
mode=$(query "SELECT share_mode FROM watch_regions WHERE kind = 'shared memory' ORDER BY pages DESC LIMIT 1")
ok "the buffers read SM_SHARED" test "$mode" = SM_SHARED
finish
