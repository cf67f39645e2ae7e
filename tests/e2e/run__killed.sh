#!/bin/sh
# kill -9 of the lab, an actor, lab and keeper together or all at random instants: no process stays,
# the database is sound and has every finished step, the run is marked, and the next run leaves
# nothing of it. KILLS sets how often (default 50).
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-50}
labs=
mark=cowlab-kill-$$
db=$TMP/t.db

# Every process of a run carries this in its environment.
ours() { grep -lz "^COWLAB_KILL_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
name_of() { cat "/proc/$1/comm" 2>/dev/null; }

# Where the runs have their directories: another lab on this machine has its own.
mkdir "$TMP/runs"
export TMPDIR="$TMP/runs"

# The run's keeper, or nothing: the child of the lab that leads the group of the others.
keeper_of() { pgrep -P "$1" -f -- 'cowlab-actor --keeper'; }

# kill_one TARGET DELAY: starts a run, waits, kills the lab, one actor, lab and keeper in one call, or
# these and all actors and the name server.
kill_one() {
    COWLAB_KILL_MARK=$mark cowlab run fork-write ool-write --param pages=64 --db "$db" >/dev/null 2>&1 &
    lab=$!
    labs="$labs $lab"
    sleep "$2"
    keeper=$(keeper_of "$lab")
    # shellcheck disable=SC2046,SC2086 # a list of processes
    case $1 in
    lab) kill -9 "$lab" 2>/dev/null ;;
    actor) kill -9 $(ours | while read -r p; do [ "$(name_of "$p")" != cowlab-actor ] || echo "$p"; done | head -n 1) 2>/dev/null ;;
    both) kill -9 "$lab" $keeper 2>/dev/null ;;
    stopped) # a stopped actor does not see that its lab is gone
        [ -z "$keeper" ] || kill -STOP -- "-$keeper" 2>/dev/null
        kill -9 "$lab" $keeper 2>/dev/null
        ;;
    group) kill -9 "$lab" ${keeper:+-- "-$keeper"} 2>/dev/null ;;
    esac
    wait "$lab" 2>/dev/null
    for _ in $(seq 200); do # for hangs: 10 s, and more under load
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
        case $((i % 5)) in 0) target=lab ;; 1) target=both ;; 2) target=actor ;; 3) target=group ;; 4) target=stopped ;; esac
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
# The janitor of a keeper that was not killed may still be at work for a moment.
nothing_left() {
    for _ in $(seq 200); do
        left=$(find "$TMPDIR" -mindepth 1)
        for lab in $labs; do left="$left$(find /sys/fs/cgroup -type d -name "cowlab-run-$lab-*" 2>/dev/null)"; done
        [ -n "$left" ] || return 0
        sleep 0.05
    done
    echo "left: $left"
    return 1
}
ok "after the next run no directory and no cgroup stays" nothing_left
ok "doctor says so" says 'Nothing is left by runs' cowlab doctor

# A run in the middle of a pause, killed with its keeper: what is left is told, and tidied up by one
# run of many; what has an owner, or is not ours, is not touched.
is_dead() { ! grep 'State:.[^ZX]' "/proc/$1/status"; }
left_by() { find "$TMPDIR" -name "cowlab-run-$1-*"; }
hold_run 2 cowlab run ool-write --db "$db"
killed=$lab
dir=$(left_by "$killed")
# Who was forked dies of no parent's death, and who is stopped sees no closed socket.
sleep 1000 &
member=$!
if [ -d "$dir/cgroup" ]; then echo $member >"$dir/cgroup/cgroup.procs"; else kill -9 $member; fi
kill -STOP $member 2>/dev/null
kill -9 "$lab" "$(keeper_of "$lab")"
end_run
ok "lab and keeper killed together leave a directory" test -d "$dir"
ok "... which doctor tells" says "$dir, of user $(id -u)" cowlab doctor
ok "... as JSON too" sh -c "cowlab doctor --json | jq -e '.left[] | select(.path == \"$dir\" and .user == $(id -u))'"
ok "... and leaves" test -d "$dir"
ln -s "$TMP" "$TMPDIR/cowlab-run-1-0000001a"
mkdir -m 755 "$TMPDIR/cowlab-run-1-0000002a"
mkdir -m 700 "$TMPDIR/cowlab-run-1-0000dead" "$TMP/cowlab-run-1-0000dead" # its link names no cgroup
ln -s "$TMP/cowlab-run-1-0000dead" "$TMPDIR/cowlab-run-1-0000dead/cgroup"
mkdir -m 700 "$TMPDIR/cowlab-run-results" "$TMPDIR/cowlab-run-1-0000004a" # a user's, and one with a user's file
touch "$TMPDIR/cowlab-run-results/file" "$TMPDIR/cowlab-run-1-0000004a/file"
if [ "$(id -u)" = 0 ]; then
    mkdir -m 700 "$TMPDIR/cowlab-run-1-0000003a"
    touch "$TMPDIR/cowlab-run-1-0000003a/file"
    chown -R 65534 "$TMPDIR/cowlab-run-1-0000003a"
fi
hold_run 2 cowlab run ool-write --db "$db"
runs=
for n in 1 2 3 4; do
    cowlab run fork-write --db "$n.db" >/dev/null 2>"said.$n" &
    runs="$runs $!"
done
all_end() { for run in $runs; do wait "$run" || { cat said.*; return 1; }; done; }
ok "four runs tidy up at once" all_end
ok "... all of it" test ! -e "$dir"
ok "... and who was in its cgroup" is_dead $member
kill -9 $member 2>/dev/null
wait $member 2>/dev/null
ok "... but not of a run that lives" test -d "$(left_by "$lab")"
end_run
ok "... which ends by itself, tidily" equals "" left_by "$lab"
ok "a link is not followed" test -L "$TMPDIR/cowlab-run-1-0000001a"
ok "what others may write is not touched" test -d "$TMPDIR/cowlab-run-1-0000002a"
ok "what names no cgroup is not removed as one" test -d "$TMP/cowlab-run-1-0000dead"
ok "... and is gone itself" test ! -e "$TMPDIR/cowlab-run-1-0000dead"
ok "a directory of another name is a user's own" test -f "$TMPDIR/cowlab-run-results/file"
ok "... and so is a file that no run makes" test -f "$TMPDIR/cowlab-run-1-0000004a/file"
[ "$(id -u)" != 0 ] || ok "what another user left stays" test -f "$TMPDIR/cowlab-run-1-0000003a/file"
[ "$(id -u)" != 0 ] || ok "... and is told" says 'cowlab-run-1-0000003a, of user 65534' cowlab doctor
finish
