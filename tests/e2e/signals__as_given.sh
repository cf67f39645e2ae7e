#!/bin/sh
# Signals that a program is started with: ignored ones stay ignored (nohup), but for SIGCHLD, whose
# children could not be waited for; blocked ones are let through; the user's command gets all as it was.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
needs "signals as they were given" python3

# given IGNORED BLOCKED COMMAND...: names without SIG, separated by commas; all others as in a terminal.
cat >given.py <<'E2'
import os, signal, sys
of = lambda names: [getattr(signal, "SIG" + n) for n in names.split(",") if n]
for s in of("INT,QUIT,HUP,TERM,PIPE,XFSZ,CHLD"):
    signal.signal(s, signal.SIG_DFL)
for s in of(sys.argv[1]):
    signal.signal(s, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, of(sys.argv[2]))
os.execvp(sys.argv[3], sys.argv[3:])
E2
given() { python3 "$TMP/given.py" "$@"; }

# begin IGNORED BLOCKED: a watch of this shell in the background, when it has stored something.
begin() {
    rm -f w.db*
    python3 given.py "$1" "$2" cowlab watch $$ --every 20ms --for 2m --db w.db >/dev/null 2>&1 &
    watcher=$!
    samples 1
}
samples() {
    more=$(($(count) + $1))
    until [ "$(count)" -ge "$more" ] || ! kill -0 $watcher 2>/dev/null; do sleep 0.05; done
}
count() { sqlite3 -cmd '.timeout 5000' w.db 'SELECT count(*) FROM steps' 2>/dev/null || echo 0; }
goes_on() { # after the signal it stores more
    kill -"$1" "$watcher" && samples 3 && kill -0 "$watcher"
}
ends() { # by the signal, in order
    kill -"$1" "$watcher" && exits 130 wait "$watcher" &&
        equals complete sqlite3 w.db 'SELECT status FROM runs'
}

for s in HUP INT TERM; do
    begin '' ''
    ok "SIG$s ends a watch in order" ends $s
    begin $s ''
    ok "... not if it was ignored" goes_on $s
    ok "... SIGKILL does" sh -c "kill -9 $watcher"
    wait $watcher 2>/dev/null
    begin '' $s
    ok "... but if it was blocked" ends $s
done
rm -f w.db*
nohup cowlab watch $$ --every 20ms --for 2m --db w.db >/dev/null 2>&1 &
watcher=$!
samples 1
ok "nohup: a hang-up does not end it" goes_on HUP
ok "... SIGTERM does" ends TERM

for s in CHLD ''; do
    for blocked in '' CHLD,TERM,ALRM,PIPE,USR1; do
        what="ignored: ${s:-none}, blocked: ${blocked:-none}"
        ok "$what: a run" given "$s" "$blocked" cowlab run fork-write fork-tree ool-write --db r.db
        ok "$what: the command's end is known" says 'status 7' given "$s" "$blocked" cowlab watch --every 20ms --db c.db -- sh -c 'exit 7'
        ok "$what: a command that cannot be started" exits 2 given "$s" "$blocked" cowlab watch --db c.db -- /no/such/program
        ok "$what: doctor, vmmap, cowprobe" sh -c "python3 given.py '$s' '$blocked' cowlab doctor && python3 given.py '$s' '$blocked' cowlab vmmap $$ &&
            python3 given.py '$s' '$blocked' cowprobe $$"
        if cowlab doctor --json | jq -e '.backends[] | select(.name == "gnumach") | .have' >/dev/null; then
            ok "$what: a guest" given "$s" "$blocked" cowlab run fork-write --backend gnumach --db r.db
        fi
    done
done
ok "what runs is not different for it" equals complete sqlite3 r.db 'SELECT DISTINCT status FROM runs'

# The command of a watch: as if it had been started without cowlab.
state='grep -E "Sig(Blk|Ign):" /proc/self/status'
# It is there until it has been looked at.
# shellcheck disable=SC2016 # for the inner shell
seen='until [ "$(sqlite3 c.db "SELECT count(*) > 0 FROM steps" 2>/dev/null)" = 1 ]; do sleep 0.05; done'
for ignored in '' HUP,CHLD,PIPE INT,QUIT,XFSZ; do
    for blocked in '' USR1,CHLD,TERM; do
        want=$(given "$ignored" "$blocked" sh -c "$state")
        rm -f c.db*
        ok "a command keeps ignored '$ignored', blocked '$blocked'" equals "$want" \
            given "$ignored" "$blocked" cowlab watch --every 20ms --db c.db -- sh -c "$state; $seen"
    done
done
# An actor.
hold_run 2 python3 given.py HUP,QUIT,CHLD USR1,CHLD,TERM cowlab run fork-write --db r.db
actor=$(pgrep -P $lab -f 'cowlab-actor [0-9]' | head -n 1)
ok "no signal is blocked in an actor" grep -q 'SigBlk:.0000000000000000$' "/proc/$actor/status"
ok "... nor SIGCHLD ignored" sh -c "[ \$(( 0x\$(awk '/^SigIgn:/ { print \$2 }' /proc/$actor/status) & 0x10000 )) = 0 ]"
end_run
# The name server of its own.
cowlab_names() {
    python3 given.py "$1" "$2" cowlab-nameserver --foreground --socket "$TMP/names" >ready 2>&1 &
    server=$!
    until [ -s ready ]; do sleep 0.05; done
}
cowlab_names CHLD TERM
ok "a name server ends when it is told, if that was blocked" sh -c "kill -TERM $server"
ok "... in order" exits 0 wait $server
finish
