#!/bin/sh
# A reader that goes away ends the printing, not what was to be done. Output that is lost otherwise
# is a failure (exit 4) of a run that is stored whole all the same.
. "$(dirname "$0")/lib.sh"

read_one_line() { # COMMAND...: its status, in the file code
    { "$@" 2>err; echo $? >code; } | head -n 1 >/dev/null
    cat code
}
stored() { sqlite3 "$1" "SELECT group_concat(status || ' ' || steps) FROM runs"; }

ok "run | head: the run's own status" equals 0 read_one_line cowlab run fork-write fork-tree --db r.db
ok "both are whole" equals "complete 7,complete 10" stored r.db
ok "nothing is said" test ! -s err
ok "run --json | head" equals 0 read_one_line cowlab run fork-write --json --db j.db
cat >wrong.json <<'END'
{ "scenario": "wrong", "language": 1, "title": "t", "question": "q", "actors": ["a"],
  "steps": [ { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 1, "kind": "anonymous" },
               "expect": { "a.r": { "resident": 1 } } } ] }
END
ok "an expectation that failed counts still" equals 1 read_one_line cowlab run ./wrong.json --db r.db
for command in list "show --db r.db" "show --json --db r.db" "report --db r.db" "export --db r.db" doctor \
    "vmmap $$" "vmmap -j $$" --help --version \
    "run --help" "show --usage"; do
    # shellcheck disable=SC2086 # words
    ok "$command | head" equals 0 read_one_line cowlab $command
    # shellcheck disable=SC2086
    ok "$command, lost" sh -c '"$@" >/dev/full; [ $? -eq 4 ]' sh cowlab $command
done
ok "cowprobe | head" equals 0 read_one_line cowprobe $$
ok "cowprobe, lost" sh -c 'cowprobe $$ >/dev/full; [ $? -eq 4 ]'
ok "watch | head goes on" equals 0 read_one_line cowlab watch --every 50ms --for 1s --db w.db $$
ok "to its end, and says so once" equals 1 grep -c 'what shows the samples is gone; watching and storing go on' err
ok "with the true reason of that" grep -q 'the time is over' err
ok "it is complete" equals "complete|1" sqlite3 w.db "SELECT status, steps > 10 FROM runs"

lost() { # DB STATUS REDIRECTION
    exits "$2" sh -c "exec cowlab run fork-write --db $1 $3" || return
    equals "complete 7" stored "$1"
}
ok "standard output closed" lost closed.db 4 '>&-'
ok "all closed" lost all.db 4 '<&- >&- 2>&-'
ok "standard error closed: nothing is lost" lost err.db 0 '>/dev/null 2>&-'
ok "a full device" lost full.db 4 '>/dev/full'
ok "is named as such" says 'cannot write to standard output: No space left' sh -c 'cowlab run fork-write --db full.db >/dev/full'
# A reader that does not read: a pipe that is full.
mkfifo slow
exec 5<>slow
dd if=/dev/zero of=slow bs=4096 oflag=nonblock 2>/dev/null
ends_by_signal() { # DB COMMAND...: once it has stored a step
    db=$1
    shift
    cowlab "$@" --db "$db" >slow 2>err 5<&- &
    lab=$!
    until [ "$(sqlite3 "$db" 'SELECT steps FROM runs' 2>/dev/null)" = 1 ]; do sleep 0.05; done
    kill -TERM "$lab"
    for _ in $(seq 1200); do # for hangs
        kill -0 "$lab" 2>/dev/null || break
        sleep 0.05
    done
    kill -9 "$lab" 2>/dev/null
    exits 130 wait "$lab"
}
ok "a watch whose output nobody reads ends by a signal" ends_by_signal unread.db watch --every 20ms $$
ok "... which alone is said" sh -c '! grep -q "is gone" err && grep -q "(stopped)" err'
ok "... complete" equals complete sqlite3 unread.db 'SELECT status FROM runs'
ok "so does a run" ends_by_signal unheard.db run fork-write
ok "... interrupted" equals interrupted sqlite3 unheard.db 'SELECT status FROM runs'
exec 5<&-
# What a command of the user's is given is what cowlab was given.
ok "a watched command has its signals as they were" equals "$(sh -c 'grep SigIgn /proc/self/status')" sh -c \
    'cowlab watch --db c.db -- sh -c "grep SigIgn /proc/self/status >ign; sleep 0.1" >/dev/null 2>&1; cat ign'
finish
