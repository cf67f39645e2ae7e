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
ok "the command for the rest stands there" grep -q '^| cowlab run ool-two-large --param bytes=2147483648 | 7 |$' demo/report.md
ok "and none for what was run" exits 1 grep -q '^| cowlab run ool-options --param memory=[a-z]* |' demo/report.md
finish
