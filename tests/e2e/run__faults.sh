#!/bin/sh
# The nth allocation, and the nth opening of a descriptor, fails, for every n that a fork-write run
# reaches: the lab says so and exits, or copes; it never crashes, leaves a process, or stores a wrong
# number.
. "$(dirname "$0")/lib.sh"

. "$TOP/tests/faults/lib.sh"

rows="SELECT step, observed, share_mode, ref_count, resident, cow, debt, copied, reused FROM timeline
      WHERE run_id = (SELECT run_id FROM runs WHERE status = 'complete' LIMIT 1);
      SELECT ability FROM run WHERE status = 'complete'"
cowlab run fork-write --db good.db >/dev/null || exit 1
sqlite3 good.db "$rows" >good.rows

run_it() { timeout 300 cowlab run fork-write --db "$1"; }
# What it stored is right, or unknown (NULL), never another number.
judge_coped() {
    sqlite3 t.db "$rows" >t.rows
    [ "$(wc -l <good.rows)" -eq "$(wc -l <t.rows)" ] && paste -d '|' good.rows t.rows |
        awk -F '|' '{ for (i = 1; i <= NF / 2; i++) if ($(i + NF / 2) != "" && $(i + NF / 2) != $i) exit 1 }' ||
        { diff good.rows t.rows; return 1; }
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
# As an ordinary user: root has no limit on them.
unprivileged() { if [ "$(id -u)" = 0 ]; then as_nobody "$@"; else "$@"; fi; }
[ "$(id -u)" != 0 ] || nobody_setup
ok "no process can be had" says 'cannot start .*Resource temporarily unavailable \(a limit on the number of processes' \
    unprivileged prlimit --nproc=1 cowlab run fork-write --db few.db
small_file() { prlimit --fsize=10240 cowlab run fork-write --db small.db 2>&1; }

ok "few descriptors" few_descriptors fork-write
ok "few descriptors, with memory objects" few_descriptors ool-write
ok "a file that may not grow is a full disk" says 'No space left|File too large|cannot' small_file
ok "it exits with 4" exits 4 small_file
ok "so may a log that may not grow" exits 4 sh -c 'prlimit --fsize=524288 cowlab watch $$ --every 10ms --for 10m --db log.db >/dev/null 2>said'
ok "it is named with the reason" says "cannot store step [0-9]+ in 'log.db': File too large" cat said
ok "... and what was stored until then, in number" equals "$(sed -n 's/^watched.*(cut short): \([0-9]*\) samples in run.*/\1/p' said)" sqlite3 log.db "SELECT steps FROM runs"
ok "the run's last word finds room" equals "failed|1" sqlite3 log.db "SELECT status, message LIKE '%File too large' FROM runs"
ok "the nth allocation fails" every_nth memory 150
ok "the nth descriptor fails" every_nth descriptor 150
finish
