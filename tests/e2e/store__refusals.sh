#!/bin/sh
# What happens to a run when its database cannot be used: no run starts, or it ends with the
# finished steps kept; never a write to a file that is not ours; never a NULL without a reason.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# No file changes, none appears.
refused() { # EXIT-STATUS PATTERN DATABASE
    before=$(ls -A . && cksum "$3" 2>&1)
    exits "$1" says_in "$2" cowlab run fork-write --db "$3" || return 1
    after=$(ls -A . && cksum "$3" 2>&1)
    [ "$before" = "$after" ] || { echo "something was written"; return 1; }
}
says_in() { # as says, with the command's own exit status
    pattern=$1
    shift
    "$@" >.said 2>&1
    status=$?
    grep -Eq -- "$pattern" .said || { cat .said; return 99; }
    return "$status"
}

: >.said
mkdir directory
echo 'dear diary' >notes.txt
sqlite3 foreign.db 'CREATE TABLE t (a); INSERT INTO t VALUES (1)'
ok "a directory" refused 4 'directory.*it is a directory' directory
ok "a text file" refused 4 'notes.txt.*not a database' notes.txt
ok "another program's database" refused 4 'foreign.db.*another program' foreign.db
ok "a place that does not exist" refused 4 'nowhere/x.db.*No such file' nowhere/x.db

cowlab run fork-write --db newer.db >/dev/null 2>&1
sqlite3 newer.db 'PRAGMA user_version = 4711'
ok "a newer schema: both versions" refused 4 'version 4711, newer than version [0-9]+' newer.db
ok "and it is not shown either" says 'version 4711' cowlab show --db newer.db

cowlab run fork-write --db busy.db >/dev/null 2>&1
mkfifo hold
sqlite3 busy.db <hold >/dev/null 2>&1 &
holder=$!
exec 3>hold
echo 'BEGIN IMMEDIATE;' >&3
sleep 0.3
ok "a busy database: waited for, then named" refused 4 'busy.db.*locked' busy.db
exec 3>&-
wait $holder
ok "and used once it is free" cowlab run fork-write --db busy.db

if unshare -m true 2>/dev/null; then
    mkdir small
    # shellcheck disable=SC2016 # for the inner shell
    ok "a full disk: the run ends with an error, finished steps kept" unshare -m sh -c '
        mount -t tmpfs -o size=700k none small || exit 1
        n=0
        while cowlab run fork-write --db small/f.db >/dev/null 2>said; do
            n=$((n + 1))
            [ $n -lt 100 ] || exit 2
        done
        grep -q "No space left on device" said || { cat said; exit 3; }
        [ $n -gt 0 ] || exit 4
        cp small/f.db* . || exit 5
        [ "$(sqlite3 f.db "PRAGMA integrity_check")" = ok ] || exit 6
        [ "$(sqlite3 f.db "SELECT count(*) FROM runs WHERE status = '"'complete'"' AND steps = 7")" = $n ]'
    # Whatever size fills up: the last thing that is written says that the run failed.
    # shellcheck disable=SC2016
    ok "a full disk: the run is marked all the same" unshare -m sh -c '
        for size in 380 420 460 500 540 590; do
            mount -t tmpfs -o size=${size}k none small || exit 1
            cowlab run ool-options --db small/f.db >/dev/null 2>&1 && exit 2
            got=$(sqlite3 small/f.db "SELECT status FROM runs" 2>&1)
            [ "$got" = failed ] || { echo "$size KiB: $got"; exit 3; }
            umount small || exit 4
        done'
    # shellcheck disable=SC2016
    ok "a read-only place: shown, but no run" unshare -m sh -c '
        mount -t tmpfs none small && cp busy.db small/r.db && mount -o remount,ro small || exit 1
        cowlab show --db small/r.db >/dev/null || exit 2
        cowlab run fork-write --db small/r.db >said 2>&1 && exit 3
        grep -q "Read-only file system" said'
else
    skip "a full disk" "a mount namespace (root)"
    skip "a read-only place" "a mount namespace (root)"
fi

# Columns that apply to every actor's region: NULL only with a reason.
reasons() {
    for column in share_mode ref_count pages entry_pages resident mapped none zero exclusive cow debt \
        object shared swapped huge at_risk outside protection inheritance; do
        bare=$(sqlite3 "$1" "SELECT count(*) FROM timeline t WHERE observed <> 'message' AND $column IS NULL
            AND NOT EXISTS (SELECT 1 FROM unknowns u WHERE u.run_id = t.run_id AND u.step = t.step
                AND u.observed = t.observed AND u.region = t.region AND u.quantity = '$column')")
        [ "$bare" = 0 ] || { echo "$column: $bare NULLs without a reason"; return 1; }
    done
}
cowlab run fork-write fork-zero ool-write fork-file --db root.db >/dev/null 2>&1
ok "every NULL has its reason" reasons root.db
if [ "$(id -u)" = 0 ]; then
    nobody_setup
    as_nobody cowlab run fork-write fork-zero ool-write fork-file --db n.db >/dev/null 2>&1
    ok "as nobody too" reasons nobody/work/n.db
    ok "where much is unknown" [ "$(sqlite3 nobody/work/n.db 'SELECT count(*) > 50 FROM unknowns')" = 1 ]
    # A database of an earlier version that its reader may not write: a copy is brought up to date.
    sqlite3 root.db "SELECT 'DROP VIEW ' || name || ';' FROM sqlite_master WHERE type = 'view'" >older.sql
    cat >>older.sql <<'END'
DROP TABLE latency_bucket;
DROP TABLE latency;
DROP TABLE snapshot;
DROP INDEX run_by_series;
ALTER TABLE run DROP COLUMN warm_up;
ALTER TABLE run DROP COLUMN series;
DROP TABLE series;
DROP TABLE handover;
ALTER TABLE process DROP COLUMN cpu_ns;
ALTER TABLE step DROP COLUMN answer;
ALTER TABLE run DROP COLUMN ability;
ALTER TABLE process DROP COLUMN lost_kb;
ALTER TABLE watch_region DROP COLUMN lost;
ALTER TABLE region DROP COLUMN swapped_in;
ALTER TABLE process DROP COLUMN lost_before_kb;
ALTER TABLE watch_process DROP COLUMN own_program;
DROP TABLE published_backend;
DELETE FROM content;
PRAGMA user_version = 3;
END
    cp root.db older.db && sqlite3 older.db <older.sql && cksum older.db >older.sum
    ok "an older database of somebody else's is shown" says "^  run 2" as_nobody cowlab show --db "$TMP/older.db"
    ok "... and reported" says "fork-write" as_nobody cowlab report --db "$TMP/older.db"
    ok "... and left as it was" equals "$(cat older.sum)" cksum older.db
fi
finish
