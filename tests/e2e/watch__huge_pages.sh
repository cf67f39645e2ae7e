#!/bin/sh
# Explicit huge pages are in no RSS or PSS, but are frames: no check and no sentence may take them for an error.
. "$(dirname "$0")/lib.sh"

trap 'huge_away; rm -rf "$TMP"' EXIT
huge_setup
needs "a watch of explicit huge pages" /usr/bin/python3
if ! has_cap hugetlb || ! has_cap frames; then
    skip "a watch of explicit huge pages" "hugetlb and frames"
    finish
fi
cat >huge.py <<'END'
import mmap, os, time
size = 2 << 20 # MAP_HUGETLB
huge = mmap.mmap(-1, size, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000)
for at in range(0, size, 4096): huge[at] = 1
if os.fork() == 0: time.sleep(60)
open("ready", "w").close()
time.sleep(60)
END
/usr/bin/python3 huge.py &
server=$!
trap 'pkill -KILL -P $server; kill -KILL $server; huge_away; rm -rf "$TMP"' EXIT
for _ in $(seq 100); do [ -e ready ] && break; sleep 0.1; done
ok "it is watched" cowlab watch --children "$server" --every 200ms --for 1s --db h.db
ok "a report is made" whole_report h.db h.md
ok "huge pages were seen" equals 1 sqlite3 h.db \
    "SELECT count(DISTINCT actor) FROM watch_regions WHERE kind = 'huge pages' AND mapped > 0"
ok "no check differs" equals 0 sqlite3 h.db "SELECT count(*) FROM checks"
ok "RSS is compared with what counts the same" \
    says 'by their PSS was .* times as much as there is, explicit huge pages apart' cat h.md
finish
