#!/bin/sh
# Who reads the database never holds up who writes it, and reads it from where they may not write:
# with any SQLite shell while the log's two files lie beside it, with cowlab, or as a copy.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# A shell in the middle of a transaction: hold DATABASE SQL..., until let_go.
hold() {
    held=$1
    shift
    rm -f fifo said
    mkfifo fifo
    sqlite3 "$held" <fifo >said 2>&1 &
    holder=$!
    exec 3>fifo
    printf '%s\n' "$@" "SELECT 'held';" >&3
    until grep -q held said; do sleep 0.05; done
}
let_go() {
    printf '%s\n' "$@" >&3
    exec 3>&-
    wait $holder
}
runs() { sqlite3 "$1" 'SELECT count(*) FROM runs'; }
# As a version before left it.
make_old() { sqlite3 "$1" 'PRAGMA journal_mode = DELETE' >/dev/null; }

cowlab run fork-write --db r.db >/dev/null 2>&1
mkdir copy
cp r.db copy/
ok "the finished file is complete without its log" equals 1 runs copy/r.db
hold r.db 'BEGIN;' 'SELECT count(*) FROM runs;'
ok "a reader of a finished file does not block a run" cowlab run fork-write --db r.db
ok "... nor a watch" cowlab watch $$ --for 100ms --every 50ms --db r.db
ok "... nor who shows what is new" says 'watch: live processes' cowlab show --db r.db
let_go 'SELECT count(*) FROM runs;' 'COMMIT;' 'SELECT count(*) FROM runs;'
ok "... and keeps its snapshot until it ends" equals "1 held 1 3" sh -c 'paste -sd" " said'
cowlab watch $$ --for 1500ms --every 50ms --db r.db >/dev/null 2>&1 &
watcher=$!
for _ in 1 2 3 4 5; do ok "a run beside a watch" cowlab run fork-write --db r.db; done
ok "... which goes on to its end" wait $watcher
ok "... and both are whole" equals "ok 9" sh -c 'sqlite3 r.db "PRAGMA integrity_check; SELECT count(*) FROM runs WHERE status = '"'complete'"'" | paste -sd" "'

# What is not of this version: the tables of now, the views of then.
sqlite3 r.db "DELETE FROM content; DROP VIEW latest_runs"
hold r.db 'BEGIN;' 'SELECT count(*) FROM run;'
ok "views are put in beside a reader" cowlab run fork-write --db r.db
ok "... by a reader too" cowlab list
let_go
ok "... and are there" sqlite3 r.db 'SELECT * FROM latest_runs'

cp copy/r.db old.db
make_old old.db
hold old.db 'BEGIN;' 'SELECT count(*) FROM run;'
ok "a file of an older version waits for its reader, then says who that is" says "process $holder \\(sqlite3\\) kept it locked" cowlab run fork-write --db old.db
ok "... but is shown beside it" cowlab show --db old.db
let_go
ok "... and is switched once" cowlab run fork-write --db old.db
hold old.db 'BEGIN;' 'SELECT count(*) FROM run;'
ok "... after which no reader blocks" cowlab run fork-write --db old.db
let_go

# Removed while it is written: what follows would be in no file.
cowlab watch $$ --every 20ms --for 1m --db gone.db >/dev/null 2>why &
watcher=$!
until [ "$(sqlite3 gone.db 'SELECT count(*) > 2 FROM steps' 2>/dev/null)" = 1 ]; do sleep 0.05; done
rm gone.db
ok "a database removed meanwhile ends the watch" exits 4 wait $watcher
ok "... which says so" says 'gone.db.*removed or replaced' cat why
rm -f gone.db-*

if [ "$(id -u)" = 0 ]; then
    nobody_setup
    shown() { says '^  run 2' as_nobody cowlab show --db "$1"; }
    queried() { equals "$2" as_nobody sqlite3 "$1" 'SELECT count(*) FROM runs'; }
    mkdir place
    chmod 755 place
    place=$TMP/place/r.db
    cowlab run fork-write --db "$place" >/dev/null 2>&1
    ok "another user reads it with a shell from a directory that they may not write" queried "$place" 1
    ok "... and with cowlab" shown "$place"
    cowlab watch $$ --for 1m --every 20ms --db "$place" >/dev/null 2>&1 &
    watcher=$!
    until [ "$(runs "$place")" = 2 ]; do sleep 0.05; done
    ok "... while a watch writes it" queried "$place" 2
    ok "... with cowlab too" shown "$place"
    kill -9 $watcher
    wait $watcher 2>/dev/null
    ok "... after the watch was killed" queried "$place" 2
    ok "... with cowlab too" shown "$place"
    sqlite3 "$place" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
    ok "the owner's shell takes the log away" sh -c "[ ! -e '$place-wal' ]"
    ok "... cowlab reads on, and says how" says 'read as it lies' as_nobody cowlab show --db "$place"
    ok "... so does a shell that is told" queried "file:$place?immutable=1" 2
    cp "$place" 'place/od?d#%.db'
    ok "... by whatever name" shown "$TMP/place/od?d#%.db"
    cowlab run fork-write --db "$place" >/dev/null 2>&1
    ok "... until the next run" queried "$place" 3
    cp "$place" place/views.db
    ok "the views of another version" sqlite3 place/views.db "DROP VIEW fork_vs_ool_sums; UPDATE content SET hash = 'another'"
    ok "... are read as this one has them, where they cannot be put in" exits 0 as_nobody cowlab report --db "$TMP/place/views.db"
    cowlab watch --every 20ms --db "$place" -- sleep 1000 >/dev/null 2>&1 &
    watcher=$!
    until [ "$(runs "$place")" = 4 ]; do sleep 0.05; done
    chmod 600 "$place-shm" # as it was made, had the database been closed to others then
    ok "who was let into the database alone is told what it lacks" says "r.db-shm'" as_nobody cowlab show --db "$place"
    ln -s "$place" link.db
    ok "... by way of a link too" says "r.db-shm'" as_nobody cowlab show --db "$TMP/link.db"
    chmod 644 "$place-shm"
    ok "... and reads beside who writes" queried "$place" 4
    pkill -P $watcher sleep
    wait $watcher
    sqlite3 "$place" "DELETE FROM content" && cp "$place" "place/views.db"
    ok "older views, as it lies" shown "$TMP/place/views.db"
    # Its output waits in a pipe that is too small for it, while the file changes.
    cowlab run fork-write ool-write fork-write ool-write fork-write ool-write --db place/lies.db >/dev/null 2>&1
    rm -f place/lies.db-*
    mkfifo slow
    # shellcheck disable=SC2046 # a list of runs
    as_nobody cowlab report --db "$TMP/place/lies.db" $(sqlite3 'file:place/lies.db?immutable=1' 'SELECT run_id FROM run') >slow 2>said &
    reader=$!
    exec 4<slow
    until grep -q 'read as it lies' said; do sleep 0.05; done
    cowlab run fork-write --db place/lies.db >/dev/null 2>&1
    cat <&4 >/dev/null
    exec 4<&-
    ok "... which changes meanwhile" exits 4 wait $reader
    ok "... and that is said" says 'lies.db. was changed while it was read' cat said
    ok "a run of theirs is refused" exits 4 as_nobody cowlab run fork-write --db "$place"
else
    skip "another user" "root"
fi
if unshare -m true 2>/dev/null; then
    cowlab show --db r.db >/dev/null # the log's files are there
    # shellcheck disable=SC2016 # for the inner shell
    ok "a read-only place: a copy of the file alone, and of the three" unshare -m sh -c '
        mkdir ro && mount -t tmpfs none ro && cp copy/r.db ro/alone.db && cp r.db r.db-wal r.db-shm ro/ &&
            mount -o remount,ro ro || exit 1
        cowlab show --db ro/alone.db >/dev/null 2>&1 || exit 2
        sqlite3 "file:ro/alone.db?immutable=1" "SELECT * FROM runs" >/dev/null || exit 3
        cowlab show --db ro/r.db >/dev/null || exit 4
        sqlite3 ro/r.db "SELECT * FROM runs" >/dev/null || exit 5'
    # The log has no room to go into the file: it stays, and nothing is lost.
    # shellcheck disable=SC2016
    ok "a disk too full to take in the log" unshare -m sh -c '
        mkdir full && mount -t tmpfs -o size=1m none full || exit 1
        cowlab run fork-write --db full/f.db >/dev/null || exit 2
        mkfifo go
        sqlite3 full/f.db <go >/dev/null & # a reader: the log cannot be taken in
        exec 4>go
        echo "BEGIN; SELECT count(*) FROM run;" >&4
        sleep 0.3
        while cowlab run fork-write --db full/f.db >/dev/null 2>&1; do :; done
        dd if=/dev/zero of=full/rest bs=4k >/dev/null 2>&1
        exec 4>&-
        wait
        [ "$(sqlite3 full/f.db "PRAGMA integrity_check")" = ok ] || exit 3
        [ "$(sqlite3 full/f.db "SELECT count(*) FROM runs WHERE status = '"'complete'"' AND steps = 7")" -gt 1 ]'
else
    skip "a read-only place, a full disk" "a mount namespace (root)"
fi
finish
