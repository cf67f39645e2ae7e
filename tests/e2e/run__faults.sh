#!/bin/sh
# The nth allocation, and the nth opening of a descriptor, fails, for every n that a fork-write run
# reaches: the lab says so and exits, or copes; it never crashes, leaves a process, or stores a wrong
# number. FAULT_STRIDE=k tries every kth n (default: such that a kind takes about 150 tries).
. "$(dirname "$0")/lib.sh"

case $BUILD in
*asan*) skip "nth allocation or descriptor fails" "LD_PRELOAD (the sanitizer has malloc already)"; finish ;;
esac
mark=cowlab-fault-$$
${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o fail_nth.so "$TOP/tests/faults/fail_nth.c" -ldl || exit 1

rows="SELECT step, observed, share_mode, ref_count, resident, cow, debt, copied, reused FROM timeline
      WHERE run_id = (SELECT run_id FROM runs WHERE status = 'complete' LIMIT 1)"
cowlab run fork-write --db good.db >/dev/null || exit 1
sqlite3 good.db "$rows" >good.rows

faulty() { # KIND N
    rm -f t.db t.db-wal t.db-shm
    FAIL_KIND=$1 FAIL_NTH=$2 FAIL_COUNT=$TMP/count COWLAB_FAULT_MARK=$mark LD_PRELOAD=$TMP/fail_nth.so \
        timeout 300 cowlab run fork-write --db t.db >out 2>err
}

# judge KIND N STATUS: what a run may do after a fault.
judge() {
    case $3 in
    0 | 1)
        # It coped: then what it stored is right, or unknown (NULL), never another number.
        sqlite3 t.db "$rows" >t.rows
        python3 - good.rows t.rows <<'END' || { echo "$1 $2: coped, but stored something else"; diff good.rows t.rows; return 1; }
import sys
good, got = ([l.rstrip("\n").split("|") for l in open(f)] for f in sys.argv[1:])
sys.exit(len(good) != len(got) or any(b != "" and a != b for g, t in zip(good, got) for a, b in zip(g, t)))
END
        ;;
    2 | 3 | 4) [ -s err ] || { echo "$1 $2: exit $3 without a word"; return 1; } ;;
    *) echo "$1 $2: status $3"; cat err; return 1 ;;
    esac
    [ ! -s t.db ] || [ "$(sqlite3 t.db 'PRAGMA integrity_check' 2>&1)" = ok ] || { echo "$1 $2: database not sound"; return 1; }
}

left() { grep -lz "^COWLAB_FAULT_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null; }

every_nth() { # KIND
    faulty "$1" 0
    total=$(cat count)
    stride=${FAULT_STRIDE:-$(((total + 149) / 150))}
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

# Descriptors that run out are an error with that reason, never an unknown with another.
few_descriptors() {
    for n in $(seq 10 2 30); do
        rm -f t.db*
        prlimit --nofile="$n" cowlab run "$1" --db t.db >out 2>err
        case $? in
        0) [ "$(sqlite3 t.db "SELECT not_checked FROM runs")" = 0 ] || { echo "$n descriptors: not checked"; return 1; } ;;
        4) grep -Eq 'Too many open files|exited unasked' err || { echo "$n descriptors:"; cat err; return 1; } ;;
        *) cat err; return 1 ;;
        esac
    done
}
small_file() { prlimit --fsize=10240 cowlab run fork-write --db small.db 2>&1; }

ok "few descriptors" few_descriptors fork-write
ok "few descriptors, with memory objects" few_descriptors ool-write
ok "a file that may not grow is a full disk" says 'No space left|File too large|cannot' small_file
ok "it exits with 4" exits 4 small_file
ok "the nth allocation fails" every_nth memory
ok "the nth descriptor fails" every_nth descriptor
finish
