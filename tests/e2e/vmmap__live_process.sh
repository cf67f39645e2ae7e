#!/bin/sh
# cowlab vmmap on live processes: the same answers as cowprobe's, and numbers that are so.
. "$(dirname "$0")/lib.sh"

sleep 300 &
pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$TMP"' EXIT
until grep -q heap "/proc/$pid/maps" 2>/dev/null; do sleep 0.01; done
look() { cowlab vmmap --json "$pid" >"$TMP/vmmap.json" && cowprobe --runs=0 "$pid" >"$TMP/cowprobe.json"; }
holds() { # FILE EXPRESSION
    [ "$(jq "$2" "$TMP/$1.json")" = true ] || { jq -c . "$TMP/$1.json" | head -c 4000; return 1; }
}

ok "a process is looked at" look
ok "some of its mappings cannot be written" holds vmmap '[.regions[] | .writable] | any and (all | not)'
ok "what cannot be written is not at risk" holds vmmap '[.regions[] | select(.writable | not) | .at_risk == 0] | all'
ok "cowprobe says so too" holds cowprobe '[.regions[] | select(.protection[1:2] != "w") | .at_risk == 0] | all'
finish
