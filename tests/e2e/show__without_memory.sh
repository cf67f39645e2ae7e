#!/bin/sh
# A document of JSON is whole, or there is an error: each allocation of `cowlab show --json` fails in turn.
. "$(dirname "$0")/lib.sh"
. "$TOP/tests/faults/lib.sh"

cowlab run fork-write --db good.db >/dev/null || exit 1
cowlab show --json --db good.db >good.json
run_it() { timeout 300 cowlab show --json --db good.db; }
judge_coped() { cmp out good.json; }
ok "a document is whole, or an error" every_nth memory 200
finish
