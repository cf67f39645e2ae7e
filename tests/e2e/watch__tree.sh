#!/bin/sh
# cowlab watch and vmmap as a user meets them: ends, errors, commands, kills, what is left behind.
. "$(dirname "$0")/lib.sh"

query() { sqlite3 "${2:-w.db}" "$1"; }
sleep 300 &
sleeper=$!
trap 'kill $sleeper 2>/dev/null; rm -rf "$TMP"' EXIT

# -- vmmap: what was published for macOS: text and data copy-on-write, the stack private.
if has_cap kpageflags && has_cap frames; then
    cowlab vmmap $sleeper --json >v.json
    mode() { jq -r --arg t "$1" '[.regions[] | select(.type == $t) | .share_mode] | unique | join(",")' v.json; }
    ok "program text reads COW" test "$(mode 'program text')" = SM_COW
    ok "program data reads COW" test "$(mode 'program data')" = SM_COW
    ok "the stack reads PRV" test "$(mode stack)" = SM_PRIVATE
else
    skip "share modes of a program" kpageflags
fi
ok "the table has both sections and a summary" sh -c "cowlab vmmap $sleeper >v.txt && grep -q '^==== Non-writable' v.txt &&
    grep -q '^==== Writable' v.txt && grep -q '^==== Summary' v.txt && grep -q '^Physical footprint' v.txt"
ok "the regions' RSS add up to the kernel's" sh -c "cowlab vmmap $sleeper --json | jq -e '(([.regions[] | select(.type != \"kernel\") | .mapped]
    | add) * .page_size / 1024 - .footprint.rss_kb) | fabs <= 64' >/dev/null"
ok "a filter by type" sh -c "cowlab vmmap $sleeper --json --type stack | jq -e '.regions | length == 1' >/dev/null"
ok "a filter by mode" sh -c "cowlab vmmap $sleeper --json --share COW | jq -e 'all(.regions[]; .share_mode == \"SM_COW\")' >/dev/null"
ok "no number: bad usage" exits 2 cowlab vmmap x1
ok "a process that is gone: a failure, said" exits 4 cowlab vmmap 4194303
ok "and said so" says 'no process 4194303' cowlab vmmap 4194303
ok "a bad filter: bad usage" exits 2 cowlab vmmap $sleeper --share nonsense
for size in nan inf -1K 1e40 K 1KB; do ok "a bad size, $size: bad usage" exits 2 cowlab vmmap $sleeper --min=$size; done
nobody_setup
ok "a forbidden process: the machine's refusal" exits 3 as_nobody cowlab vmmap 1
ok "and what it takes is named" says "takes the process's own user, or root" as_nobody cowlab vmmap 1

# -- watch: ends and errors.
ok "time over" exits 0 cowlab watch $sleeper --for 500ms --every 100ms --db w.db
ok "a complete run with its samples" test "$(query 'SELECT status, steps >= 5 FROM runs')" = "complete|1"
ok "no number: bad usage" exits 2 cowlab watch x --db w.db
ok "a bad time: bad usage" exits 2 cowlab watch $sleeper --every 0 --db w.db
ok "nothing to watch: bad usage" exits 2 cowlab watch --db w.db
ok "a process that is gone" exits 4 cowlab watch 4194303 --db w.db
ok "a forbidden process" exits 3 as_nobody cowlab watch 1 --for 1s
ok "no run came of these" test "$(query 'SELECT count(*) FROM runs')" -eq 1
ok "an ordinary user on a process of its own" exits 0 as_nobody cowlab watch --every 50ms -- sleep 0.4
ok "what it cannot see is unknown with a reason" test "$(query "SELECT count(*) FROM unknowns
    WHERE quantity = 'distinct_kb' AND reason LIKE '%CAP_SYS_ADMIN%'" nobody/work/cowlab.db)" -ge 1
ok "and what the counters tell is there" test "$(query "SELECT count(*) FROM footprint
    WHERE rss_kb > 0 AND pss_kb > 0 AND uss_kb IS NOT NULL" nobody/work/cowlab.db)" -ge 1

# -- a command: its own output and status, its children followed.
rm -f c.db
ok "a command's output is its own" equals hello cowlab watch --db c.db --every 50ms -- sh -c 'echo hello; sleep 0.3 & sleep 0.5'
# By parent, not by name: a process seen between fork and exec keeps the name of that sample.
ok "its children came and went" test "$(query "SELECT count(*) FROM watch_processes c JOIN watch_processes p USING (run_id)
    WHERE c.parent = p.actor AND c.last_step < (SELECT max(step) FROM watch_samples)" c.db)" -ge 1
ok "its end ends the watch" test "$(query 'SELECT status FROM runs' c.db)" = complete
ok "how it ended is said" says 'status 7' cowlab watch --db c.db --every 50ms -- sh -c 'sleep 0.2; exit 7'
ok "one that cannot be started: bad usage" exits 2 cowlab watch --db c.db -- /no/such/program

# -- stopped and killed.
rm -f w.db
cowlab watch $sleeper --every 100ms --db w.db >/dev/null 2>&1 &
watcher=$!
sleep 0.6
kill -TERM $watcher
wait $watcher
ok "the signal is told by the status" test $? -eq 130
ok "and the run is complete" test "$(query 'SELECT status FROM runs')" = complete
cowlab watch --every 100ms --db w.db -- sleep 31.7 >/dev/null 2>&1 &
watcher=$!
sleep 0.6
child=$(pgrep -P $watcher -x sleep)
kill -KILL $watcher
wait $watcher 2>/dev/null
ok "the command of a watch that was killed lives on" kill -0 "$child"
kill "$child"
ok "nothing else is left of it" test -z "$(pgrep -P $watcher)"
ok "its samples are there and the file is sound" test "$(query 'PRAGMA integrity_check; SELECT count(*) >= 3 FROM watch_samples
    WHERE run_id = (SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1)' | tr '\n' ' ')" = "ok 1 "
ok "the next watch marks it" exits 0 cowlab watch $sleeper --for 100ms --db w.db
ok "as crashed" test "$(query "SELECT count(*) FROM runs WHERE status = 'crashed'")" -eq 1

# -- the target is left alone: no stop, no trace, no fault, no write.
faults() { awk '{ print $10 }' "/proc/$sleeper/stat"; }
before=$(faults)
if command -v strace >/dev/null; then
    strace -f -o trace.txt cowlab watch $sleeper --every 50ms --for 400ms --db w.db >/dev/null 2>&1
    ok "no ptrace, no signal, no write to its memory" sh -c "! grep -Eq 'ptrace\(|process_vm|process_madvise|pidfd_send|tgkill\($sleeper|kill\($sleeper|/proc/$sleeper/(mem|clear_refs)' trace.txt"
else
    skip "the system calls of a watch" "strace (make deps)"
fi
ok "it took no fault" test "$(faults)" -eq "$before"

# -- a trace of a watch.
ok "a watch exports as a trace" exits 0 cowlab export latest --db c.db -o t.json
ok "with slices, counters and instants" jq -e '[.traceEvents[].ph] | (index("X") and index("C") and index("i") and index("M"))' t.json
# shellcheck disable=SC2016 # $run is jq's
ok "a lifetime per process, within the run" jq -e '(.traceEvents | map(select(.name == "watch"))[0]) as $run |
    [.traceEvents[] | select(.name == "alive") | .ts + .dur <= $run.ts + $run.dur + 0.01] | length > 0 and all' t.json
ok "a format that is not there: bad usage" exits 2 cowlab export latest --db c.db --format svg
ok "show gives a digest of a watch" says 'sum of RSS' cowlab show --db w.db
ok "a watch to the end of a command" exits 0 cowlab watch --every 100ms --db end.db -- sleep 0.5
ok "what was copied while everybody ended is not 0" test "$(sqlite3 end.db \
    'SELECT count(*) > 0, count(copied_kb), count(copied_kb_per_s) FROM watch_samples WHERE processes = 0')" = "1|0|0"
ok "a command that goes on is announced" says 'the command goes on \(pid' cowlab watch --every 100ms --for 300ms --db command.db -- sleep 1
finish
