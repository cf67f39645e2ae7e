#!/bin/sh
# cowlab watch over a prefork Python server: the parent loads objects, forks workers, and each worker
# walks all of them. Reading an object writes its reference count, so that workers lose what they
# shared though they change nothing; and a garbage collection writes the header of every container,
# unless gc.freeze() put them out of its reach before the fork.
# A broken kernel would show workers that share all to the end, or nothing from the start.
. "$(dirname "$0")/lib.sh"

needs "watch over a prefork Python server" python3

cat >prefork.py <<'PY'
import gc, os, sys, time
mode = sys.argv[1]
gc.disable()
rows = [[str(i), i, None] for i in range(200000)]
if mode != "collect":
    gc.freeze()
workers = []
for w in range(3):
    pid = os.fork()
    if pid == 0:
        time.sleep(1.2)
        if mode == "refcount":
            for row in rows:            # takes and drops a reference to each
                for item in row:
                    pass
        else:
            gc.enable()
            gc.collect()                # writes the header of each tracked container
        open("done.%s.%d" % (mode, w), "w").close()
        time.sleep(60)
        os._exit(0)
    workers.append(pid)
open("ready." + mode, "w").write(str(os.getpid()))
sys.stdin.read()
for pid in workers:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
PY

# One kind of server, watched from before the workers do anything to after it.
watch() {
    mkfifo "hold.$1"
    python3 prefork.py "$1" <"hold.$1" &
    server=$!
    exec 9>"hold.$1"
    tries=0
    until [ -s "ready.$1" ] || [ $tries -ge 2400 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    cowlab watch "$(cat "ready.$1")" --children --every 200ms --for 180s --db "$1.db" >/dev/null 2>"$1.log" &
    watcher=$!
    tries=0
    until [ -e "done.$1.0" ] && [ -e "done.$1.1" ] && [ -e "done.$1.2" ] || [ $tries -ge 2400 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    sleep 0.5
    kill -TERM $watcher
    wait $watcher
    code=$?
    exec 9>&-
    wait $server
}
query() { sqlite3 "$1.db" "$2"; }

for mode in refcount collect freeze; do
    watch $mode
    ok "$mode: the watch saw the server and its three workers" test "$(query $mode "
        SELECT count(*) || ' ' || sum(parent IS NOT NULL) FROM watch_processes")" = "4 3"
    ok "$mode: it ended as one that was stopped" test "$code" -eq 130
done
if has_cap frames && has_cap kpagecount; then
    least() { query "$1" "SELECT min(lost_kb * 100 / max_parent_kb) FROM watch_costs WHERE parent IS NOT NULL"; }
    most() { query "$1" "SELECT max(lost_kb * 100 / max_parent_kb) FROM watch_costs WHERE parent IS NOT NULL"; }
    ok "walking the objects loses most of what was shared, in every worker" test "$(least refcount)" -ge 40
    ok "so does a garbage collection" test "$(least collect)" -ge 40
    ok "but not after gc.freeze: under a fifth" test "$(most freeze)" -lt 20
    ok "most of the loss is in anonymous memory and the heap" test "$(query refcount "
        SELECT sum(CASE WHEN part IN ('[heap]', 'anonymous mappings', 'malloc arenas') THEN lost_kb END) * 100
               / sum(lost_kb) FROM watch_lost")" -ge 90
    ok "what was lost was copied: within 15 %" test "$(query refcount "
        SELECT abs(sum(copied_kb) - sum(lost_kb)) * 100 / sum(lost_kb) FROM watch_costs
        WHERE parent IS NOT NULL")" -le 15
    whole_report refcount.db refcount.md >/dev/null
    where=$(query refcount "SELECT part FROM watch_lost GROUP BY part ORDER BY sum(lost_kb) DESC LIMIT 1" |
        sed 's/[][]/./g') # the report escapes brackets
    pid=$(query refcount "SELECT max(pid) FROM watch_costs WHERE parent IS NOT NULL")
    ok "the report names the worker, what it lost and where" grep -Eq \
        "Worker [123] \([^)]*, pid $pid\) lost .* shared with its parent, [0-9]+ % of it in .*${where#.}" refcount.md
    ok "and what can be done about it" says "Allocator: 3 children lost .* as Python's objects lie.*gc.freeze" cat refcount.md
    ok "which is not said where it was done" equals 0 sh -c 'cowlab show --db freeze.db | grep -c Allocator || :'
    for mode in refcount collect freeze; do
        echo "# $mode: workers lost $(least $mode) to $(most $mode) % of what they shared"
    done
else
    skip "what the workers lost" frames
fi
finish
