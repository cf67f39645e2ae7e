#!/bin/sh
# kill -9 of the lab, an actor or the keeper at random instants: no process stays, the database is
# sound and has every finished step, and the run is marked. KILLS sets how often (default 50).
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-50}
labs=
mark=cowlab-kill-$$
db=$TMP/t.db

# Every process of a run carries this in its environment.
ours() { grep -lz "^COWLAB_KILL_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
name_of() { cat "/proc/$1/comm" 2>/dev/null; }

# kill_one TARGET DELAY: starts a run, waits, kills the lab or one other process of the run.
kill_one() {
    COWLAB_KILL_MARK=$mark cowlab run fork-write fork-write --param pages=64 --db "$db" >/dev/null 2>&1 &
    lab=$!
    labs="$labs $lab"
    sleep "$2"
    if [ "$1" = lab ]; then
        kill -9 "$lab" 2>/dev/null
    else
        for p in $(ours); do
            [ "$p" = "$lab" ] || { [ "$(name_of "$p")" = cowlab-actor ] && kill -9 "$p" 2>/dev/null && break; }
        done
    fi
    wait "$lab" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        left=$(ours)
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "left behind after killing $1 at ${2}s: $left ($(for p in $left; do name_of "$p"; done))"
    return 1
}

kill_many() {
    i=0
    while [ "$i" -lt "$kills" ]; do
        case $((i % 3)) in 0 | 1) target=lab ;; 2) target=actor ;; esac
        # 0 to 120 ms, in steps that miss no part of the run over many rounds
        kill_one "$target" "0.$(printf '%03d' $(((i * 37) % 120)))" || return 1
        i=$((i + 1))
    done
}

whole_steps() {
    [ "$(sqlite3 "$db" 'PRAGMA integrity_check')" = ok ] || { echo "integrity_check failed"; return 1; }
    # Steps are numbered without a gap, and each has what was seen.
    bad=$(sqlite3 "$db" "SELECT count(*) FROM (SELECT run_id, max(step) AS last, count(DISTINCT step) AS n
        FROM footprint GROUP BY run_id) WHERE last <> n")
    [ "$bad" = 0 ] || { echo "$bad runs have gaps"; return 1; }
}

ok "$kills kills at random instants leave no process" kill_many
ok "the database is sound and has every finished step" whole_steps
cowlab run fork-write --db "$db" >/dev/null 2>&1
ok "no run is still marked as running" equals 0 sqlite3 "$db" "SELECT count(*) FROM runs WHERE status = 'running'"
ok "killed runs are marked crashed or failed" sh -c "[ \"\$(sqlite3 '$db' \"SELECT count(*) FROM runs WHERE status IN ('crashed', 'failed')\")\" -gt 0 ]"
# Other labs may run on this machine: only the killed ones' cgroups count, and their janitors may
# still be at work for a moment.
no_cgroup() {
    for _ in $(seq 40); do
        left=
        for lab in $labs; do left="$left$(find /sys/fs/cgroup -type d -name "cowlab-$lab" 2>/dev/null)"; done
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    echo "left: $left"
    return 1
}
ok "no cgroup of a run stays" no_cgroup
finish
