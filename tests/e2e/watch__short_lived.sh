#!/bin/sh
# Children that come after the watch began and end before its last sample: what they share is stored when they
# come, and what they did between their last sample and their end is said with its bound.
. "$(dirname "$0")/lib.sh"

needs "children that live shortly" /usr/bin/python3
if ! has_cap frames; then
    skip "children that live shortly" "frames"
    finish
fi
cat >burst.py <<'END'
import os, time
data = bytearray(b"x" * (64 << 20))
time.sleep(0.6)
def end():
    while not os.path.exists("end"): time.sleep(0.01)
    os._exit(0)
for i in range(3):
    if os.fork() == 0: end()
for i in range(3): os.wait()
time.sleep(0.6)
END
seen_twice() { # DB: lets the children end once two samples have all of them
    for _ in $(seq 3000); do
        [ "$(sqlite3 "$1" 'SELECT count(*) FROM watch_samples WHERE processes = 4' 2>/dev/null || echo 0)" -lt 2 ] || break
        sleep 0.02
    done
    touch end
}
for how in pid command; do
    rm -f end
    seen_twice $how.db &
    if [ $how = pid ]; then
        /usr/bin/python3 burst.py &
        ok "a process is watched" cowlab watch --children $! --every 200ms --for 120s --db pid.db
    else
        ok "a command is watched" cowlab watch --children --every 200ms --for 120s --db command.db -- /usr/bin/python3 burst.py
    fi
    ok "each two have a row ($how)" equals "6 1" sqlite3 $how.db \
        "SELECT count(DISTINCT actor_a || actor_b) || ' ' || (max(shared_kb) > 65536) FROM sharing"
    whole_report $how.db $how.md >/dev/null
    ok "and the report has them ($how)" equals 6 grep -Ec '^\| [^|]* \| [^|]* \| [67][0-9]\.[0-9] MiB \| [0-9]+ \|$' $how.md
    ok "what may have gone after is bounded ($how)" \
        says '3 children kept .* was seen to go.* and at most [67][0-9]\.[0-9] MiB more each between their last sample and their end' cat $how.md
    ok "and does not say otherwise ($how)" equals 0 sh -c "grep -c 'is not stored' $how.md || :"
done

# Samples a second apart: a child writes 18 of 20 MiB between its last one and its end. Another is seen once.
cat >gap.py <<'END'
import os, time
data = [bytearray(4096) for _ in range(5120)]
for b in data: b[0] = 1
def soon(name):
    while not os.path.exists(name): time.sleep(0.01)
if os.fork() == 0:
    soon("write")
    for b in data[:4608]: b[1] = 2
    os._exit(0)
soon("fork")
if os.fork() == 0: soon("write"); os._exit(0)
for i in range(2): os.wait()
time.sleep(0.5)
END
steps() { # N: waits until there are so many samples
    for _ in $(seq 100); do
        [ "$(sqlite3 gap.db 'SELECT count(*) FROM step' 2>/dev/null || echo 0)" -ge "$1" ] && return
        sleep 0.05
    done
}
/usr/bin/python3 gap.py &
server=$!
sleep 0.3
(steps 2; touch fork; steps 3; touch write) &
ok "a child's end is watched" cowlab watch --children $server --every 1s --for 30s --db gap.db
wait
whole_report gap.db gap.md >/dev/null
ok "what nobody saw it write is bounded" \
    says '1 child kept .*: at most [0-9.]* KiB of 2[0-9]\.[0-9] MiB was seen to go.* and at most 2[0-9]\.[0-9] MiB more between its last sample and its end' cat gap.md
ok "and so is the loss of who was seen once" \
    says 'What 1 child lost is unknown: seen in one sample only; at most 2[0-9]\.[0-9] MiB was in common' cat gap.md
finish
