#!/bin/sh
# An actor that dies, hangs or is stopped, a keeper that dies, Ctrl-C: the run ends with a clear
# error, is marked, keeps the finished steps and leaves nothing behind. --pause holds the run between
# two steps, so that nothing here depends on timing.
. "$(dirname "$0")/lib.sh"

mkdir runs
export TMPDIR="$TMP/runs"
mark=cowlab-disturb-$$
ours() { grep -lz "^COWLAB_DISTURB_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
gone() {
    for _ in $(seq 1200); do
        left=$(ours)
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "left behind: $left"
    return 1
}

# hold STEP [DEADLINE_MS]: fork-write. The deadline is far off but where it is what is meant.
hold() { hold_run "$1" env COWLAB_DISTURB_MARK=$mark COWLAB_DEADLINE_MS="${2:-300000}" cowlab run fork-write --db t.db; }
# The actors in the order of their birth (parent, child); the keeper by its argument.
actor_nr() { ours | while read -r p; do grep -qz -- --keeper "/proc/$p/cmdline" || [ "$p" = "$lab" ] || echo "$p"; done | sort -n | sed -n "$1p"; }
keeper() { ours | while read -r p; do ! grep -qz -- --keeper "/proc/$p/cmdline" || echo "$p"; done; }

last() { sqlite3 t.db "SELECT $1 FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1"; }
steps_of_last() { sqlite3 t.db "SELECT max(step) FROM footprint WHERE run_id = (SELECT run_id FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1)"; }

# A kill is not instantaneous: until the process is a zombie, or gone.
kill_now() {
    kill -9 "$1"
    while [ -e "/proc/$1/stat" ] && ! grep -q ') Z ' "/proc/$1/stat" 2>/dev/null; do sleep 0.01; done
}

printf '#!/bin/sh\nexec sleep 60\n' >hang
chmod +x hang

hold 4
kill_now "$(actor_nr 2)"
go_on
ok "a killed actor: exit 4" test $status -eq 4
ok "it is named, with the signal or that it is gone" grep -Eq "actor 'child' \(pid [0-9]+\) (is gone|was killed by signal 9)" err
ok "the run is marked failed" equals failed last status
ok "the three finished steps are kept" equals 3 steps_of_last
ok "nothing is left" gone

hold 4 5000
kill -STOP "$(actor_nr 2)"
go_on
ok "a stopped actor: exit 4 at the deadline" test $status -eq 4
ok "its state is named" grep -q "gave no answer within .* ms; its state is T (stopped)" err
ok "the stopped process does not stay" gone

hold 4
kill_now "$(keeper)"
go_on
ok "a killed keeper: exit 4" test $status -eq 4
ok "it is named" grep -q "the keeper process" err
ok "nothing is left without a keeper" gone

# The run's name server is its other helper.
ok "a name server that does not come up: exit 4" exits 4 env COWLAB_NAMESERVER=/bin/false cowlab run ool-write --db t.db
ok "it is named as well" says "name server .*exited unasked with status 1" env COWLAB_NAMESERVER=/bin/false cowlab run ool-write --db t.db
ok "a name server that hangs: the deadline" exits 4 env COWLAB_DEADLINE_MS=300 COWLAB_NAMESERVER="$TMP/hang" cowlab run ool-write --db t.db

hold 3
kill -TERM "$lab"
end_run
ok "an end by signal: exit 130" test $status -eq 130
ok "the run is marked interrupted" equals interrupted last status
ok "... with the reason in one wording" says '^interrupted because a signal asked it to end$' cat out
ok "two steps are kept" equals 2 steps_of_last
ok "nothing is left after it" gone

# The lab's own descriptors must not slip into their places.
ok "standard streams that are closed: exit 4" exits 4 sh -c 'exec cowlab run fork-write --db closed.db <&- >&- 2>&-'
ok "what is lost is the timeline, not the run" equals "complete|" sqlite3 closed.db "SELECT status, message FROM runs"
ok "a pause without standard input ends at once" exits 130 sh -c 'exec cowlab run fork-write --pause --db closed.db <&-'

hold 3
kill -STOP "$(actor_nr 1)"
kill -9 "$lab"
end_run
ok "kill -9 of the lab reaches a stopped actor" gone
cowlab show --db t.db >/dev/null 2>&1
cowlab run fork-write --db t.db >/dev/null 2>&1
ok "the next lab marks that run crashed" equals 1 sqlite3 t.db "SELECT count(*) FROM runs WHERE status = 'crashed'"
ok "no directory of a run stays" equals "" ls "$TMPDIR"
finish
