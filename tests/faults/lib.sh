# Sourced after tests/e2e/lib.sh by the tests that let the nth allocation, or opening of a descriptor,
# of a run fail: it says so and exits, or copes; it never crashes or leaves a process. A test says
#   run_it DB             one command, the run
#   judge_coped STATUS    after a fault that it coped with, with that exit status: is t.db right?
# shellcheck shell=sh
case $BUILD in
*asan*) skip "nth allocation or descriptor fails" "LD_PRELOAD (the sanitizer has malloc already)"; finish ;;
esac
mark=cowlab-fault-$$
${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o fail_nth.so "$TOP/tests/faults/fail_nth.c" -ldl || exit 1

faulty() { # KIND N
    rm -f t.db t.db-wal t.db-shm
    (
        export FAIL_KIND="$1" FAIL_NTH="$2" FAIL_COUNT="$TMP/count" COWLAB_FAULT_MARK="$mark"
        export LD_PRELOAD="$TMP/fail_nth.so"
        run_it t.db >out 2>err
    )
}

# judge KIND N STATUS: what a run may do after a fault.
judge() {
    case $3 in
    0 | 1) judge_coped "$3" || { echo "$1 $2: coped, but stored something else"; return 1; } ;;
    2 | 3 | 4) [ -s err ] || { echo "$1 $2: exit $3 without a word"; return 1; } ;;
    *) echo "$1 $2: status $3"; cat err; return 1 ;;
    esac
    [ ! -s t.db ] || [ "$(sqlite3 t.db 'PRAGMA integrity_check' 2>&1)" = ok ] || { echo "$1 $2: database not sound"; return 1; }
}
left() { grep -lz "^COWLAB_FAULT_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null; }

# every_nth KIND TRIES: FAULT_STRIDE=k tries every kth n; else such that it takes about so many tries.
every_nth() {
    faulty "$1" 0
    total=$(cat count)
    [ "$total" -gt 0 ] || { echo "no calls were counted"; return 1; }
    stride=${FAULT_STRIDE:-$(((total + $2 - 1) / $2))}
    n=1
    while [ "$n" -le "$total" ]; do
        faulty "$1" "$n"
        judge "$1" "$n" $? || return 1
        n=$((n + stride))
    done
    sleep 0.3
    [ -z "$(left)" ] || { echo "left behind: $(left)"; return 1; }
    echo "$total calls, every ${stride}th failed"
}
