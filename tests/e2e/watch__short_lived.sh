#!/bin/sh
# Children that come after the watch began and end before its last sample: what they share is stored when they
# come, and what they did between their last sample and their end is said with its bound.
. "$(dirname "$0")/lib.sh"

if ! [ -x /usr/bin/python3 ]; then
    skip "children that live shortly" "/usr/bin/python3"
    finish
fi
if ! has_cap frames; then
    skip "children that live shortly" "frames"
    finish
fi
cat >burst.py <<'END'
import os, time
data = bytearray(b"x" * (64 << 20))
time.sleep(0.6)
for i in range(3):
    if os.fork() == 0: time.sleep(0.9); os._exit(0)
for i in range(3): os.wait()
time.sleep(0.6)
END
for how in pid command; do
    if [ $how = pid ]; then
        /usr/bin/python3 burst.py &
        ok "a process is watched" cowlab watch --children $! --every 200ms --for 30s --db pid.db
    else
        ok "a command is watched" cowlab watch --children --every 200ms --for 30s --db command.db -- /usr/bin/python3 burst.py
    fi
    ok "each two have a row ($how)" equals "6 1" sqlite3 $how.db \
        "SELECT count(DISTINCT actor_a || actor_b) || ' ' || (max(shared_kb) > 65536) FROM sharing"
    cowlab report --db $how.db -o $how.md >/dev/null
    ok "and the report has them ($how)" equals 6 grep -Ec '^\| [^|]* \| [^|]* \| [67][0-9]\.[0-9] MiB \| [0-9]+ \|$' $how.md
    ok "and does not say otherwise ($how)" equals 0 sh -c "grep -c 'is not stored' $how.md || :"
done
finish
