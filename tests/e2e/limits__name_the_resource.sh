#!/bin/sh
# Too few descriptors: what cannot be opened is an error that says so; it is never taken for a process
# that is not there, and no value is 0 for it.
. "$(dirname "$0")/lib.sh"

sleep 600 &
sleeper=$!
trap 'kill $sleeper 2>/dev/null; rm -rf "$TMP"' EXIT
honest() { # COMMAND...: under each limit it does its work, or names the resource
    for n in $(seq 5 32); do
        rm -f d.db d.db-*
        # shellcheck disable=SC2016 # the inner shell expands
        sh -c 'ulimit -n "$1" && shift && exec "$@"' sh "$n" "$@" >out 2>&1
        status=$?
        if [ "$status" -ne 0 ]; then
            [ "$status" -eq 4 ] && grep -q 'Too many open files' out || { echo "limit $n, status $status:"; cat out; return 1; }
        fi
        ! grep -Eq 'no process|has ended|is gone|unasked' out || { echo "limit $n:"; cat out; return 1; }
        [ ! -e d.db ] || [ "$(sqlite3 d.db "SELECT count(*) FROM process WHERE rss_kb = 0" 2>/dev/null || echo 0)" = 0 ] ||
            { echo "limit $n: 0 KiB"; return 1; }
    done
    [ "$status" -eq 0 ] || { echo "not even with $n"; cat out; return 1; }
}
ok "watch" honest cowlab watch --every 50ms --for 100ms --db d.db $sleeper
ok "watch --children" honest cowlab watch --children --every 50ms --for 100ms --db d.db $sleeper
# The hard limit counts: the soft one is raised before there are processes, and not for a command.
many=
for _ in $(seq 40); do
    sleep 600 &
    many="$many $!"
done
trap 'kill $sleeper $many 2>/dev/null; rm -rf "$TMP"' EXIT
few() { sh -c 'ulimit -S -n 32; exec cowlab watch --every 50ms --for 200ms --db many.db "$@"' sh "$@"; }
# shellcheck disable=SC2086 # words
ok "many processes under a small soft limit" exits 0 few $many
ok "all are watched" equals 40 sqlite3 many.db "SELECT count(DISTINCT actor) FROM process"
few -- sh -c 'ulimit -S -n >limit' >/dev/null 2>&1
ok "a command has the limit that was given" equals 32 cat limit
ok "vmmap" honest cowlab vmmap $sleeper
ok "cowprobe" honest cowprobe $sleeper
ok "run" honest cowlab run fork-write --db d.db
cowlab run fork-write --db r.db >/dev/null
ok "report" honest cowlab report --db r.db -o r.md
ok "export" honest cowlab export --db r.db -o r.json
ok "show" honest cowlab show --db r.db
finish
