#!/bin/sh
# Two runs of one scenario do not differ in what the scenario decides, whatever the scenario, as root
# and as an ordinary user; one page does.
. "$(dirname "$0")/lib.sh"

# every DB: all scenarios that can run here.
every() {
    cowlab list >names
    while read -r name rest; do cowlab run --db "$1" "$name"; done <names >out 2>&1
    sqlite3 "$1" "SELECT count(*) > 20 FROM runs WHERE status = 'complete'"
}

ok "all scenarios once" equals 1 every a.db
ok "and again" equals 1 every b.db
ok "nothing differs" exits 0 cowlab diff a.db b.db
ok "... and that is said first" says '^\*\*No difference\*\* in [0-9,]{5,} values of [0-9]{2} combinations' cowlab diff a.db b.db
if [ "$(id -u)" = 0 ]; then
    nobody_setup
    for db in c d; do
        ok "an ordinary user's, $db" as_nobody cowlab run --db $db.db fork-write fork-zero ool-options ool-write-many
    done
    ok "do not differ either" exits 0 as_nobody cowlab diff c.db d.db
    theirs=nobody/work/c.db
    ok "what one side does not know is no difference" exits 0 cowlab diff a.db $theirs
    ok "... and is counted" says '^\| fork-write \| linux \| [0-9]+ \| .*debt' cowlab diff a.db $theirs
else
    skip "an ordinary user's nor" root
fi

ok "65,536 pages" cowlab run --db one.db fork-write-many --param pages=65536
cp one.db more.db
ok "one page more, planted" sqlite3 more.db "UPDATE region SET copied = copied + 1 WHERE copied > 0 AND step = 4"
ok "is found" exits 1 cowlab diff one.db more.db
ok "... and told first" says '^\*\*1 of [0-9,]+ values differ\.\*\* First: fork-write-many on linux, step 4 \(receiver_wrote\): child\.r copied ([0-9]+) in A, [0-9]+ in B\.$' cowlab diff one.db more.db
ok "... as JSON" equals '[4,"child.r","copied",1]' sh -c "cowlab diff --json one.db more.db | jq -c '.differ[0] | [.step, .subject, .quantity, .b - .a]'"
cp a.db moved.db
ok "another page of as many, planted" sqlite3 moved.db "WITH place AS (SELECT * FROM page_run JOIN run USING (run)
    WHERE scenario = 'fork-write-many' AND step = 4 AND nr = 1 AND state = 'cow' ORDER BY first LIMIT 1 OFFSET 3)
    UPDATE page_run SET state = 'debt' WHERE (run, step, nr, first) = (SELECT run, step, nr, first FROM place)"
ok "is found" says '^\*\*1 of [0-9,]+ values differ\..* child\.r which pages …' cowlab diff a.db moved.db
ok "runs of other parameters" cowlab run --db one.db fork-write-many --param pages=65536 --param share=24
first=$(sqlite3 more.db "SELECT run_id FROM runs")
ok "are compared where they are named" exits 1 cowlab diff --db one.db "$first" latest
ok "... and say theirs" says '^\| B \| linux \| .*"share":24' cowlab diff --db one.db "$first" latest
ok "in databases they are told apart" says '^\| B \| fork-write-many \| linux \| .*"share":24' cowlab diff more.db one.db

# Times of a known spread, 4 %, in place of what was measured: of two series of the same nothing differs, of one
# that is 5 % slower all do.
ok "a series" cowlab run --db s.db fork-write --param pages=1,2 --repeat 20
draw() { sqlite3 "$1" "UPDATE step SET dur_ns = $2 * (1000000 + abs(run / 7 * 7919 + step * $3) % 1000 * 40)"; }
for name in same slow; do cp s.db $name.db; done
ok "its times, drawn" draw s.db 1 104729
ok "drawn again" draw same.db 1 611953
ok "5 % slower" draw slow.db 1.05 611953
ok "equals do not differ" exits 0 cowlab diff s.db same.db
ok "... of so many values" says '^Of [0-9]+ times, faults and figures of memory of the series 0 differ beyond' cowlab diff s.db same.db
ok "what is slower does" exits 1 cowlab diff s.db slow.db
ok "... by 5 % in every phase" says '^\| fork-write \| linux \| .*"pages":2.* \| sender_wrote \| time_ns \| .* 1\.0[3-7] times' cowlab diff s.db slow.db
ok "... as JSON" equals true sh -c "cowlab diff --json s.db slow.db | jq '[.spread[] | select(.quantity == \"time_ns\") | .verdict == \"more\"] | all'"
ok "... and that is said first" says '^\*\*Times, faults or memory differ: [0-9]+ figures, below\.\*\* Of what the scenarios decide nothing differs' cowlab diff s.db slow.db
two=$(sqlite3 slow.db "SELECT group_concat(run_id, ' ') FROM (SELECT run_id FROM run WHERE warm_up = 0 AND params LIKE '%1%' LIMIT 2)")
ok "single runs of a series have no verdict on times" equals 0 sh -c "cowlab diff --json --db slow.db $two | jq '.spread | length'"
cp slow.db far.db
ok "another machine" sqlite3 far.db "UPDATE run SET machine = json_set(machine, '$.cpus', 640)"
ok "whose times are not compared" equals 0 sh -c "cowlab diff --json s.db far.db | jq '[.spread[] | select(.quantity == \"time_ns\")] | length'"
ok "... and which is named" says '^\| B \| linux \| .*"cpus":640' cowlab diff s.db far.db
ok "a run that was cut short, made" sh -c "cp one.db cut.db; sqlite3 cut.db \"PRAGMA foreign_keys = ON; DELETE FROM step WHERE step > 3; UPDATE run SET status = 'interrupted'\""
ok "... twice in one database" sh -c "cowlab run --db cut.db fork-write-many --param pages=65536"
ok "does not differ where it did not come" exits 0 sh -c "cowlab diff --db cut.db \$(sqlite3 cut.db \"SELECT min(run_id) FROM run WHERE params LIKE '%25%' AND status = 'interrupted'\") latest"
ok "less than it drifts by itself is not told" says 'series 0 differ' sh -c "cp slow.db drift.db
    sqlite3 drift.db \"UPDATE step SET dur_ns = dur_ns * 2 WHERE run IN (SELECT run FROM (SELECT run, ntile(4) OVER
        (PARTITION BY params ORDER BY started_at, run) AS part FROM run WHERE warm_up = 0) WHERE part = 2)\"; cowlab diff s.db drift.db"

ok "nothing in common is bad usage" exits 2 sh -c "cowlab diff --db a.db \$(sqlite3 a.db \"SELECT group_concat(run_id, ' ') FROM runs WHERE scenario IN ('fork-write', 'ool-write')\")"
cowlab watch --lines --every 50ms --for 100ms --db w.db $$ >out 2>&1
ok "and a watch, which nothing has to say again" exits 2 cowlab diff --db w.db latest latest
ok "so is one side" exits 2 cowlab diff a.db
ok "and a run that is not there" exits 2 cowlab diff --db a.db latest nosuch
ok "what was read was not written" equals 0 sqlite3 a.db "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'diff_%'"
finish
