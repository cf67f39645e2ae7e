#!/bin/sh
# What the machine refuses an actor in mid-run is told with the limit that was met: the run ends as
# failed, its finished steps are stored, nothing is left.
. "$(dirname "$0")/lib.sh"

chmod 777 "$TMP"
mkdir -m 1777 runs
export TMPDIR="$TMP/runs"
# scenario NAME STEP...: steps of actor a, who has region r of 40,000 pages.
scenario() {
    name=$1
    {
        printf '{"scenario": "%s", "language": 1, "title": "T", "question": "Q?", "actors": ["a", "b"], "steps": [' "$name"
        printf '{"phase": "mapped", "actor": "a", "map": {"region": "r", "pages": 40000, "kind": "anonymous"}}'
        shift
        for step; do printf ', {"phase": "populated", "actor": "a", %s}' "$step"; done
        printf ']}'
    } >"$name.json"
}
scenario plain '"read": {"region": "r", "pages": "first"}'
scenario lock '"lock": {"region": "r"}'
scenario fork '"fork": {"as": "b"}'
scenario write '"read": {"region": "r", "pages": "first"}' '"write": {"region": "r", "pages": "all"}'

# Limits on processes and locked memory are not root's; processes are counted by user, so this one is
# the test's own.
nobody=
[ "$(id -u)" -ne 0 ] || nobody='setpriv --reuid 64321 --regid 65534 --clear-groups'
last() { sqlite3 t.db "SELECT $1 FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1"; }
# refused WHAT PATTERN STEPS COMMAND...
refused() {
    what=$1 pattern=$2 steps=$3
    shift 3
    # shellcheck disable=SC2086
    $nobody "$@" --db t.db >out 2>err
    status=$?
    ok "$what: exit 4" test "$status" -eq 4
    ok "$what: the limit is named, with its numbers" says "$pattern" cat err
    ok "$what: Mach's or the kernel's word alone is not all" sh -c '! grep -q "Protocol error" err'
    ok "$what: the run is kept as failed" equals failed last status
    ok "$what: the finished steps are kept" equals "$steps" sqlite3 t.db "SELECT count(DISTINCT step) FROM footprint WHERE run_id = '$(last run_id)'"
    ok "$what: nothing is left" sh -c '! ls runs | grep -q .'
}

as='Cannot allocate memory: [0-9]+ bytes \(RLIMIT_AS of the actor is 100000000 bytes, and [0-9]+ are taken\)'
case $BUILD in
*asan) # which takes all address space there is, locks nothing and catches SIGBUS
    skip "address space and locks" "not with a sanitizer"
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_sigbus=0"
    ;;
*)
    refused "address space" "actor 'a': cannot reserve address space: $as" 0 prlimit --as=100000000 cowlab run plain.json
    refused "Mach memory" "actor 'sender': cannot allocate: .*no space available \(0x3\): $as" 0 prlimit --as=100000000 cowlab run ool-large
    refused "locked memory" "cannot lock: Cannot allocate memory: 163840000 bytes \(RLIMIT_MEMLOCK of the actor is 65536 bytes, and 0 are taken\)" 1 prlimit --memlock=65536 cowlab run lock.json
    ;;
esac
if [ -n "$nobody" ]; then
    # The keeper, the actor and the lab: a fork more is too many. Others of that user count too.
    refused "processes" "cannot fork: .* \(a limit on the number of processes" 1 prlimit --nproc=3 cowlab run fork.json
else
    skip "processes" "counts all processes of this user"
fi

hold() { hold_run 3 cowlab run write.json --db t.db; }

hold
kill -BUS "$(pgrep -o -P "$lab" -f 'cowlab-actor [0-9]+$')"
go_on
ok "SIGBUS: exit 4" test "$status" -eq 4
ok "SIGBUS: what it means is told" grep -q "actor 'a' (pid [0-9]*) was killed by signal 7 (Bus error): a page behind a mapping could not be had" err
ok "SIGBUS: the run is kept as failed" equals failed last status

hold
limit=$(find /sys/fs/cgroup -path "*/cowlab-run-$lab-*/memory.*" \( -name memory.limit_in_bytes -o -name memory.max \) 2>/dev/null | head -1)
if [ -n "$limit" ] && echo 16777216 >"$limit" 2>/dev/null; then
    go_on
    ok "out-of-memory kill: exit 4" test "$status" -eq 4
    ok "out-of-memory kill: told as such" grep -Eq "actor 'a' \(pid [0-9]+\) was killed by signal 9 \(Killed\): the kernel has killed [0-9]+ process(es)? for want of memory since the run began" err
    ok "out-of-memory kill: the run is kept as failed" equals failed last status
    ok "out-of-memory kill: two steps are kept" equals 2 sqlite3 t.db "SELECT count(DISTINCT step) FROM footprint WHERE run_id = '$(last run_id)'"
else
    go_on
    skip "out-of-memory kill" "needs a memory cgroup of the run's own"
fi
ok "nothing is left" sh -c '! ls runs | grep -q .'
finish
