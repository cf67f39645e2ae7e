#!/bin/sh
# cowlab watch over a redis-server that saves in the background while it is written to. The oracle is
# redis itself: its child adds up its private dirty pages at the end of the save and the server tells
# them as rdb_last_cow_size. That is what the server copied, since its writes left the old frames to
# the child. Tolerance: 15 % and 2 MiB, because the last sample comes before the child ends.
# A broken kernel (or a broken watch) would show no copies, or the child sharing all to the end.
. "$(dirname "$0")/lib.sh"

needs "watch over redis-server" redis-server redis-cli

sock=$TMP/redis.sock
redis-server --port 0 --unixsocket "$sock" --dir "$TMP" --save '' --appendonly no \
    --rdb-key-save-delay 60 --dbfilename dump.rdb --loglevel warning >"$TMP/redis.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$TMP"' EXIT
cli() { redis-cli -s "$sock" "$@"; }
tries=0
until cli ping >/dev/null 2>&1 || [ $tries -ge 2400 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
# 60,000 values of 1 KiB: some 80 MiB.
cli eval 'local v = string.rep("x", 1024)
for i = 1, 60000 do redis.call("set", "key:" .. i, v) end return 1' 0 >/dev/null

cowlab watch $server --children --every 200ms --for 180s --db w.db >/dev/null 2>watch.log &
watcher=$!
sleep 0.7
cli bgsave >/dev/null
sleep 0.5
# Writes to every other of 30,000 keys while the child saves (60,000 keys of 60 us: over 3.6 s).
cli eval 'local v = string.rep("y", 1024)
for i = 1, 30000, 2 do redis.call("set", "key:" .. i, v) end return 1' 0 >/dev/null
tries=0
while [ "$(cli info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 1 ] && [ $tries -lt 1200 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
cow=$(cli info persistence | tr -d '\r' | sed -n 's/^rdb_last_cow_size://p')
sleep 0.5
kill -TERM $watcher
wait $watcher
code=$?

query() { sqlite3 w.db "$1"; }
ok "the watch ended as one that was stopped" test $code -eq 130
ok "and its run is complete" test "$(query 'SELECT status FROM runs')" = complete
ok "the save left a trace in redis" test "${cow:-0}" -gt 1048576
child=$(query "SELECT actor FROM watch_costs WHERE parent IS NOT NULL ORDER BY first_step LIMIT 1")
ok "the child was seen to come" test -n "$child"
ok "and to go" test "$(query "SELECT count(*) FROM watch_events WHERE actor = '$child' AND kind = 'gone'")" -eq 1
near() {
    awk -v a="$1" -v b="$2" 'BEGIN { d = a > b ? a - b : b - a; if (d <= b * 0.15 + 2048) exit 0
        printf "%d KiB against %d KiB of redis\n", a, b; exit 1 }'
}
if has_cap frames && has_cap kpagecount; then
    ok "what the child lost in common with the server is what redis says was copied" near \
        "$(query "SELECT lost_kb FROM watch_costs WHERE actor = '$child'")" $((cow / 1024))
    ok "and the server is seen to have copied it" near \
        "$(query "SELECT copied_kb FROM watch_costs WHERE parent IS NULL")" $((cow / 1024))
    ok "the fork left the server's pages shared: most of its RSS was in common" test \
        "$(query "SELECT max_parent_kb * 10 > max_rss_kb * 8 FROM watch_costs WHERE actor = '$child'")" -eq 1
    ok "what is at risk shrinks as pages are copied" test "$(query "
        SELECT max(at_risk_kb) - min(at_risk_kb) > $((cow / 2048)) FROM footprint WHERE actor = '$child'")" -eq 1
    ok "the end of the watch says what that was" says 'Save under write load: redis-server.* copied' tr -s ' \n' ' ' <watch.log
else
    skip "the oracle's figure" frames
fi
ok "its fork has an upper bound" test "$(query "SELECT fork_ns > 0 FROM watch_costs WHERE actor = '$child'")" = 1
query "SELECT '# redis ' || $((cow / 1024)) || ' KiB, lost ' || lost_kb || ' KiB, fork under ' || (fork_ns / 1000000) || ' ms' FROM watch_costs WHERE actor = '$child'"
query "SELECT '# server copied ' || copied_kb || ' KiB' FROM watch_costs WHERE parent IS NULL"
finish
