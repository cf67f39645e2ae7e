#!/bin/sh
# What a watch says of the time that it has not seen, and of who is no longer what the fork made: a server
# watched after its workers have written, the same program executed again, a child that still runs in its
# parent's memory, a process that gives itself a title.
. "$(dirname "$0")/lib.sh"

needs "what was before the watch" /usr/bin/python3 perl
if [ "$(id -u)" -ne 0 ] || ! has_cap debt; then
    skip "what was before the watch" "debt"
    finish
fi
watched() { # NAME PID: for a second and a half; the report into $NAME.md
    cowlab watch --children "$2" --every 250ms --for 1500ms --db "$1.db" >"$1.out" 2>&1 &&
        whole_report "$1.db" "$1.md" >>"$1.out" 2>&1 || { cat "$1.out"; return 1; }
}
sql() { sqlite3 "$@"; }
copies() { # DB: copies of memory that is no file's, if they are 1 MiB or more. A program that begins copies its file's pages.
    sql "$1" "WITH own AS (SELECT step, actor, region, copied FROM watch_regions WHERE copied > 0 AND kind IN ('anonymous', 'heap'))
        SELECT * FROM own WHERE (SELECT sum(copied) FROM own) > 256"
}
ready() { # FILE: waits until it is there, at most ten seconds
    for _ in $(seq 100); do [ -e "$1" ] && return 0; sleep 0.1; done
    echo "no $1"
    return 1
}

# 32 MiB before the fork; one worker has written all of it before anybody looks, one has not.
cat >server.py <<'END'
import os, time
data = [bytearray(4096) for _ in range(8192)]
for b in data: b[0] = 1
if os.fork() == 0:
    for b in data: b[1] = 2
    open("wrote", "w").close(); time.sleep(60); os._exit(0)
if os.fork() == 0:
    time.sleep(60); os._exit(0)
if os.fork() == 0:
    os.execv("/usr/bin/python3", ["python3", "-c", "import time; time.sleep(60)"])
time.sleep(60)
END
/usr/bin/python3 server.py &
server=$!
trap 'pkill -KILL -P $server; kill -KILL $server; rm -rf "$TMP"' EXIT
ok "the worker has written" ready wrote
ok "the server is watched" watched late "$server"
ok "what was lost before is told with its bound" says 'lost at most 3[2-4]\.[0-9]* MiB of what it shared with its parent before this watch first saw it; since then 0 KiB' cat late.md
ok "that it was watched late is said first" says 'Watched late: 1 child had lost at most 3[2-4]\.[0-9]* MiB of .* before the first sample' cat late.md
ok "who wrote nothing kept it" says '1 child kept what it shared with the parent: at most 0 KiB of 3[0-9]\.' cat late.md
ok "who runs the same program anew shares nothing by the fork" says '1 child runs another program since the fork, or the same one anew' cat late.md
ok "the database says so too" equals "1" sql late.db "SELECT count(*) FROM watch_costs WHERE own_program"
ok "and no copy was seen" equals "" copies late.db
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

# The same program again and again: no loss, no drop, an event each time.
cat >again.py <<'END'
import os, sys, time
n = int(sys.argv[1])
data = bytearray(b"x" * (8 << 20))
if n == 0 and os.fork(): time.sleep(60)
open("runs%d" % n, "w").close()
time.sleep(0.5)
os.execv("/usr/bin/python3", ["python3", "again.py", str(n + 1)])
END
/usr/bin/python3 again.py 0 &
server=$!
ok "it runs" ready runs0
ok "it is watched" watched again "$server"
ok "each execution is an event" equals 1 sql again.db "SELECT count(*) >= 2 FROM watch_events WHERE kind = 'exec'"
ok "and no loss" equals 0 sql again.db "SELECT total(lost_kb) > 1024 FROM watch_costs"
ok "nor a copy" equals "" copies again.db
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

# A program executed while it is watched, by a child that wrote 4 of 32 MiB: what it had until then is no loss.
cat >later.py <<'END'
import os, sys, time
data = [bytearray(4096) for _ in range(8192)]
for b in data: b[0] = 1
def soon(name):
    while not os.path.exists(sys.argv[1] + name): time.sleep(0.02)
if os.fork() == 0:
    soon(".write")
    for b in data[:1024]: b[1] = 2
    soon(".exec"); os.execv("/bin/sleep", ["sleep", "1"])
open(sys.argv[1] + ".ready", "w").close()
os.wait()
END
executes() { # NAME OPTION...: each is told after two more samples
    name=$1
    shift
    /usr/bin/python3 later.py "$name" &
    server=$!
    ready "$name.ready" || return 1
    cowlab watch --children "$server" --every 100ms --for 60s --db "$name.db" "$@" >"$name.out" 2>&1 &
    for what in none write exec; do
        touch "$name.$what"
        seen=$(sql "$name.db" "SELECT count(*) FROM step" 2>/dev/null)
        for _ in $(seq 100); do
            now=$(sql "$name.db" "SELECT count(*) FROM step" 2>/dev/null)
            [ "${now:-0}" -ge $((${seen:-0} + 3)) ] && break
            sleep 0.1
        done
    done
    wait
    whole_report "$name.db" "$name.md" >>"$name.out" 2>&1
}
ok "an execution while watched, by frames" executes frames
ok "an execution while watched, by counters" executes counters --no-frames
for how in frames counters; do
    ok "who comes is shown by its name of then, who executes by the new one, by $how" equals "later.py sleep" sql $how.db \
        "SELECT group_concat(iif(text LIKE '%later.py%', 'later.py', substr(text, 1, 5)), ' ') FROM (
         SELECT e.text FROM watch_events e JOIN watch_processes USING (run_id, actor)
         WHERE parent IS NOT NULL AND kind IN ('came', 'exec') ORDER BY e.step)"
done
ok "what was lost is what was written before" equals 1 sql frames.db \
    "SELECT lost_kb BETWEEN 3500 AND 6000 AND max_parent_kb > 32768 AND own_program FROM watch_costs WHERE parent IS NOT NULL"
ok "and so says the report" \
    says 'lost [345]\.[0-9]* MiB of 3.*% of it in \\\[heap\\\].*; a program that was executed then ended what was left' cat frames.md
ok "counters tell no loss" equals 1 sql counters.db \
    "SELECT lost_kb IS NULL AND max_parent_kb > 32768 AND own_program FROM watch_costs WHERE parent IS NOT NULL"
ok "and the report says so" \
    says '1 child executed a program while watched.*until then at most 3.* MiB was in common while watched; what was lost before is unknown: page frames were not asked for' cat counters.md

# The parent executes a program while it is watched: the child that it left keeps nothing in common, and lost nothing.
cat >leaves.py <<'END'
import os, time
data = [bytearray(4096) for _ in range(8192)]
for b in data: b[0] = 1
if os.fork() == 0: time.sleep(60)
time.sleep(0.9)
os.execv("/usr/bin/python3", ["python3", "-c", "import time; time.sleep(60)"])
END
/usr/bin/python3 leaves.py &
server=$!
ok "a parent that executes a program is watched" watched leaves "$server"
ok "its child lost nothing by that" equals "1|1|1" sql leaves.db "SELECT own_program, lost_kb < 512,
    (SELECT total(lost_kb) < 512 FROM watch_lost l WHERE l.actor = c.actor) FROM watch_costs c WHERE parent IS NOT NULL"
ok "the report says when sharing ended" \
    says '1 child executed a program while watched, or the parent did: until then at most 3[0-9]\.[0-9] MiB was in common while watched(, of which at most [0-9]+ KiB|; nothing of it) was seen' cat leaves.md
ok "and that nothing was kept" equals 0 sh -c 'grep -c "kept what" leaves.md || :'
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

# A watch without an end stores at most every fifth sample of a process that moves steadily: who goes in between
# leaves what it has copied since. All are there from the first sample on: where one comes a sample has no sum.
cat >leaves.py <<'END'
import os, time
data = bytearray(b"x" * (48 << 20))
if os.fork() == 0:
    while not os.path.exists("leaves.go"): time.sleep(0.02)
    for i in range(38):
        time.sleep(0.05)
        for at in range(i << 20, (i + 1) << 20, 4096): data[at] = 2
    time.sleep(0.11); os._exit(0)
open("leaves.ready", "w").close()
os.wait(); time.sleep(0.5)
END
rm -f leaves.ready leaves.db
/usr/bin/python3 leaves.py &
server=$!
ok "a child that goes is there" ready leaves.ready
cowlab watch --children "$server" --every 100ms --db leaves.db >leaves.out 2>&1 &
watcher=$!
for _ in $(seq 100); do
    [ "$(sql leaves.db "SELECT count(*) FROM step" 2>/dev/null)" -ge 2 ] 2>/dev/null && break
    sleep 0.1
done
touch leaves.go
ok "and watched to its end" wait "$watcher"
ok "what the processes copied is what the samples tell" equals "1|0" sql leaves.db \
    "SELECT sum(copied_kb) > 16384, sum(copied_kb) - (SELECT sum(copied_kb) FROM process) FROM watch_samples"
wait

# A title of its own, given after the first sample; and the name is the present one.
# shellcheck disable=SC2016 # perl's
perl -e 'if (!fork) { sleep 1; $0 = "puma: cluster worker 1: shop"; sleep 60 } sleep 60' &
server=$!
ok "a server with a title is watched" watched title "$server"
ok "its title is what it is called" equals "puma: cluster worker 1: shop" sql title.db \
    "SELECT command FROM watch_processes WHERE parent IS NOT NULL"
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

# Who names itself is called so; who writes a title over its arguments by that, whatever it begins with.
cat >names.py <<'END'
import ctypes, os, time
data = [bytearray(4096) for _ in range(2048)]
for b in data: b[0] = 1
libc = ctypes.CDLL(None)
for i in range(2):
    if os.fork() == 0:
        libc.prctl(15, b"py-worker-%d" % i)
        time.sleep(1)
        for b in data: b[1] = 2
        time.sleep(60)
time.sleep(60)
END
/usr/bin/python3 names.py &
server=$!
ok "workers that name themselves are watched" watched names "$server"
ok "they are called so" says 'Worker 2 \(py-worker-1, pid' cat names.md
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

if command -v gcc >/dev/null; then
    cat >vfork.c <<'END'
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
    char *p = malloc(32 << 20);
    memset(p, 1, 32 << 20);
    if (vfork() == 0) {
        usleep(700000);
        execl("/bin/sleep", "sleep", "60", (char *)0);
        _exit(1);
    }
    pause();
}
END
    gcc -o borrower vfork.c
    ./borrower &
    server=$!
    ok "a vforked child is watched" watched vfork "$server"
    ok "its parent's memory is counted once" equals 1 sql vfork.db "SELECT max(sum_rss_kb) < 50000 FROM watch_samples"
    ok "and not kept for its own" equals 1 sql vfork.db \
        "SELECT max(rss_kb) < 20000 FROM footprint WHERE actor = (SELECT actor FROM watch_processes WHERE parent IS NOT NULL)"
    ok "the program that it executes is another one" equals 1 sql vfork.db \
        "SELECT own_program AND lost_kb IS NULL FROM watch_costs WHERE parent IS NOT NULL"
    ok "and so says the report" says '1 child runs another program since the fork, or the same one anew' cat vfork.md
    ok "what is stored is shown" equals 0 sh -c 'grep -c "?" vfork.out || :'
    pkill -KILL -P $server
    kill -KILL $server
    wait 2>/dev/null
else
    skip "a vforked child" "gcc"
fi
trap 'rm -rf "$TMP"' EXIT
finish
