#!/bin/sh
# What `make demo` does after the build: both kinds of memory, so that no published out-of-line transfer
# is left unmeasured on Linux, and a report that names the command for what is.
. "$(dirname "$0")/lib.sh"

demo() { DEMO="$TMP/demo" COWLAB="$BUILD/cowlab" sh "$TOP/tests/tools/demo.sh"; }
ok "the demo runs" exits 0 demo
ok "both kinds of memory are in it" equals "ordinary|purgeable" sqlite3 demo/cowlab.db \
    "SELECT group_concat(memory, '|') FROM (SELECT DISTINCT json_extract(params, '$.memory') AS memory FROM runs
     WHERE scenario = 'ool-options' AND backend = 'linux' ORDER BY 1)"
ok "no out-of-line transfer was not run" equals 0 sqlite3 demo/cowlab.db \
    "SELECT count(*) FROM published WHERE scenario = 'ool-options' AND run_id IS NULL"
deep() {
    # shellcheck disable=SC2046 # a word per run
    cowlab report --db demo/cowlab.db -o deep.md $(sqlite3 demo/cowlab.db "SELECT run_id FROM latest_runs")
}
ok "all of the runs is written where they are named" deep
ok "the command for the rest stands there" grep -q '^| cowlab run ool-two-large --param bytes=2147483648 | 7 |$' deep.md
ok "and none for what was run" exits 1 grep -q '^| cowlab run ool-options --param memory=[a-z]* |' deep.md
# First of all what was left open: six questions, each with what these runs tell of it.
answers() { sed -n '/^## Answers$/,/^- \*\*Expectations/p' demo/report.md; }
ok "six questions are answered first" equals 6 grep -c '^  Evidence, .* Source: ' demo/report.md
ok "nothing that was measured speaks against an answer" exits 1 grep -q "does not bear this out" demo/report.md
# shellcheck disable=SC2016 # the backquotes are the report's
linux='Linux (ordinary memory), by the layer, run `[0-9a-f-]*` (not in this report):\* '
says_here() { answers | grep -q -- "$1" || { answers; return 1; }; }
ok "the copy-on-write of row 3" says_here "$linux"'SM_COW, 2 references, 1 page resident'
ok "a receiver of 256 MiB that shows little" says_here \
    "$linux"'of 256.0 MiB received 65,536 pages resident, [0-9]* mapped, RSS [0-9.]* MiB'
# The process itself is in the total: some MiB more under a sanitizer.
ok "what a send of purgeable memory adds" says_here \
    'two regions of 128.0 MiB: 2[5-9][0-9].[0-9] MiB before the send (exact to [0-9.]* MiB), it added 25[0-9].[0-9], '
ok "debt" says_here 'SM_COW, 1 reference, 1 in debt; the write after it: 1 fault, 0 copied, 1 reused'
ok "the copy field" says_here '8 of 8 arrived as asked, 4 of them done otherwise'
ok "fork and message are compared at 1 MiB" grep -q '^### fork-write-many and ool-write-many on linux, 1.00 MiB$' demo/report.md
ok "in a sentence of the backend's too" grep -q \
    '^- \*\*Fork or message on linux.\*\* .*: 1.00 MiB, fork-write-many took .*, ool-write-many took [^;]*\.$' demo/report.md
short() { n=$(wc -l <demo/report.md) && echo "$n lines" && [ "$n" -le 200 ]; } # of about 180, some by what is unknown here
ok "all of it is short" short
finish
