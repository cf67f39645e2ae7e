#!/bin/sh
# A watch or a run whose lab is killed: what it stored is shown and reported, and everything that
# shows it says that it was cut short.
. "$(dirname "$0")/lib.sh"

sleep 600 &
sleeper=$!
trap 'kill $sleeper 2>/dev/null; rm -rf "$TMP"' EXIT
samples() { sqlite3 "$1" "SELECT count(*) FROM step WHERE run = (SELECT run FROM run ORDER BY started_at DESC LIMIT 1)" 2>/dev/null || echo 0; }
running() { sqlite3 "$1" "SELECT count(*) FROM step WHERE run = (SELECT run FROM run WHERE status = 'running')" 2>/dev/null || echo 0; }
cut() { # DB: a watch that is killed once it has some samples
    cowlab watch --every 20ms --db "$1" $sleeper >/dev/null 2>&1 &
    lab=$!
    for _ in $(seq 3000); do
        [ "$(running "$1")" -lt 5 ] || break
        sleep 0.02
    done
    kill -9 $lab
    wait $lab 2>/dev/null
    n=$(samples "$1")
}
mark="cut short: crashed after"

cut w.db
ok "show" says "$mark $n samples: the lab died" cowlab show --db w.db
ok "the views, once a command has read it" equals "crashed|the lab died while running" sqlite3 w.db "SELECT status, message FROM runs"
ok "a report, though it is the only run" exits 0 cowlab report --db w.db -o w.md
ok "in its first answer" sh -c "grep -m1 '^- ' w.md | grep -q 'Cut short.*crashed after $n samples'"
ok "above its section" grep -q "^### Run.*\*\*$mark" w.md
ok "all of it" exits 0 sh -c "cowlab report --db w.db \$(sqlite3 w.db 'SELECT run_id FROM run') -o w.md"
ok "in the finding of the watch" grep -q "^- \*\*Watch.*\*\*$mark" w.md
ok "above its section there" grep -q "^### Run.*\*\*$mark" w.md
ok "its samples are in it" grep -q "\*\*Seen.\*\* $n samples" w.md
ok "as JSON" equals crashed sh -c "cowlab show --json --db w.db | jq -r .run.status"
ok "in a trace" equals crashed sh -c "cowlab export --db w.db | jq -r .otherData.status"
ok "where a viewer shows it" equals "cowlab run (cut short: crashed)" sh -c "cowlab export --db w.db | jq -r '.traceEvents[0].args.name'"

cut other.db
ok "export alone marks it too" equals crashed sh -c "cowlab export --db other.db | jq -r .otherData.status"
# Who may not write there reads a copy that is marked.
cut foreign.db
nobody_setup
sqlite3 foreign.db 'PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE' >/dev/null
cp foreign.db nobody/work/
chmod 555 nobody/work
chmod 444 nobody/work/foreign.db
ok "another user sees it so" says "$mark $n samples" as_nobody cowlab show --db foreign.db
ok "in the report too" says "$mark $n samples" as_nobody cowlab report --db foreign.db
ok "and the file stays as it is" cmp foreign.db nobody/work/foreign.db

# A watch that lives is none.
cowlab watch --every 20ms --db live.db $sleeper >/dev/null 2>&1 &
live=$!
for _ in $(seq 3000); do
    [ "$(samples live.db)" -lt 5 ] || break
    sleep 0.02
done
ok "one that goes on is called so" says "cut short: still running, [0-9]+ samples so far" cowlab show --db live.db
ok "and reported, where there is nothing else" says "still running" cowlab report --db live.db
kill -TERM $live # SIGINT is ignored by what a shell started with "&"
wait $live
ok "its reader did not mark it" equals complete sqlite3 live.db "SELECT status FROM runs"
ok "whole, it has no mark" sh -c '! cowlab show --db live.db | grep -q "cut short" && ! cowlab report --db live.db | grep -qi "cut short"'
cut live.db
ok "of watches the latest is reported, cut short or not" says "$mark $n samples" cowlab report --db live.db

# A run.
hold_run 1 cowlab run fork-write --db none.db
ok "a run without any step" says "cut short: still running, 0 steps so far" cowlab show --db none.db
ok "... that a report is asked for" says "cut short: still running, 0 steps so far" cowlab report latest --db none.db
kill -9 "$lab"
end_run
ok "... killed" says "$mark 0 steps" cowlab show --db none.db
ok "... reported" says "$mark 0 steps" cowlab report latest --db none.db
hold_run 3 cowlab run fork-write --db r.db
kill -9 "$lab"
end_run
ok "a run: show" says "$mark 2 steps: the lab died" cowlab show --db r.db
ok "its report, though it is the only one" says "Cut short.*crashed after 2 steps" cowlab report --db r.db
cowlab run fork-write --db r.db >/dev/null
ok "a complete one comes before it" sh -c '! cowlab report --db r.db | grep -q "Cut short"'
finish
