#!/bin/sh
# What a watch says of the time that it has not seen, and of who is no longer what the fork made: a server
# watched after its workers have written, the same program executed again, a child that still runs in its
# parent's memory, a process that gives itself a title.
. "$(dirname "$0")/lib.sh"

if ! [ -x /usr/bin/python3 ] || ! command -v perl >/dev/null; then
    skip "what was before the watch" "/usr/bin/python3 and perl"
    finish
fi
if [ "$(id -u)" -ne 0 ] || ! has_cap debt; then
    skip "what was before the watch" "debt"
    finish
fi
watched() { # NAME PID: for a second and a half; the report into $NAME.md
    cowlab watch --children "$2" --every 250ms --for 1500ms --db "$1.db" >"$1.out" 2>&1 &&
        cowlab report --db "$1.db" -o "$1.md" >>"$1.out" 2>&1 || { cat "$1.out"; return 1; }
}
sql() { sqlite3 "$@"; }
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
ok "who wrote nothing kept it" says '1 child kept what it shared with the parent: at most 0 KiB of 3[0-9]\.' cat late.md
ok "who runs the same program anew shares nothing by the fork" says '1 child runs another program than the parent' cat late.md
ok "the database says so too" equals "1" sql late.db "SELECT count(*) FROM watch_costs WHERE own_program"
ok "and no copy was seen" equals "0" sql late.db "SELECT total(copied_kb) > 1024 FROM watch_samples"
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
ok "nor a copy" equals 0 sql again.db "SELECT total(copied_kb) > 1024 FROM watch_samples"
pkill -KILL -P $server
kill -KILL $server
wait 2>/dev/null

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
    pkill -KILL -P $server
    kill -KILL $server
    wait 2>/dev/null
else
    skip "a vforked child" "gcc"
fi
trap 'rm -rf "$TMP"' EXIT
finish
