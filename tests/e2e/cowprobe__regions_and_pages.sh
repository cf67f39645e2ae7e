#!/bin/sh
# cowprobe on a live process: JSON that adds up, ranges, errors with their exit codes.
. "$(dirname "$0")/lib.sh"

sleep 300 &
pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$TMP"' EXIT
probe() { cowprobe "$@" >"$TMP/out.json"; }
holds() { [ "$(jq "$1" "$TMP/out.json")" = true ] || { jq -c . "$TMP/out.json" | head -c 2000; return 1; }; }

until grep -q 'heap' "/proc/$pid/maps" 2>/dev/null; do sleep 0.01; done
ok "a process is probed" probe "$pid"
ok "it is that process" holds ".pid == $pid and .command == \"sleep\""
ok "page size is the machine's" holds ".page_size == $(getconf PAGESIZE)"
ok "every mapping of user space is a region" holds \
    ".regions | length == $(grep -vc vsyscall "/proc/$pid/maps")"
ok "states add up to pages in every region, unless some are unknown" holds '[.regions[] |
    select(.exclusive != null and .debt != null and .cow != null and .zero != null)
    | .pages == .none + .zero + .exclusive + .cow + .debt + .object + .shared + .swapped] | all'
ok "runs add up to pages" holds '[.regions[] | .pages == ([.runs[].count] | add)] | all'
# shellcheck disable=SC2016 # jq expands it
ok "every null has its reason" holds '[.regions[] | . as $r | to_entries[] | select(.value == null)
    | $r.unknown[.key] != null] | all'
ok "the program text is seen as copy-on-write" holds '[.regions[] | select(.name | test("/sleep$"))
    | select(.protection == "r-x") | .share_mode == "SM_COW"] | all'
ok "no check differs" holds '[.checks[] | .verdict != "differs"] | all'
ok "looking made no faults" holds '[.probe_cost[] | select(.probe == "pagemap") | .faults_induced == 0] | all'
range=$(awk '/\[heap\]/ { print $1 }' "/proc/$pid/maps")
ok "a range is probed alone" probe "$pid" "$range"
ok "it is the heap" holds '(.regions | length) == 1 and .regions[0].name == "[heap]"'
start=${range%-*}
ok "an unaligned range is rounded outward" probe "$pid" "0x$start-0x$(printf '%x' $((0x$start + 1)))"
ok "to one page" holds '.regions[0].pages == 1'
ok "runs can be left out" probe --runs=0 "$pid" "$range"
ok "and are" holds '.regions[0] | has("runs") | not'
ok "one line if asked" equals 1 sh -c "cowprobe -c $pid | wc -l"
ok "one thread gives the same text of the heap" sh -c "
    cowprobe -t1 $pid $range | jq -S '.regions' >one.json; cowprobe -t2 $pid $range | jq -S '.regions' >two.json; cmp one.json two.json"
ok "itself is a process too" exits 0 sh -c 'exec cowprobe $$ >/dev/null'

ok "help" says 'usage: cowprobe' cowprobe --help
ok "version" says '^cowprobe [0-9]' cowprobe --version
ok "no argument is bad usage" exits 2 cowprobe
ok "a word is no process" exits 2 cowprobe init
ok "a bad range" exits 2 cowprobe "$pid" 1000
ok "a range that ends before it begins" exits 2 cowprobe "$pid" 2000-1000
ok "a range with nothing in it" exits 2 cowprobe "$pid" 1000-2000
ok "it says so" says 'has nothing mapped in 1000-2000' cowprobe "$pid" 1000-2000
ok "bad option" exits 2 cowprobe --frobnicate "$pid"
ok "three threads" exits 2 cowprobe --threads=3 "$pid"
ok "no such process" exits 4 cowprobe 999999999
ok "it is named" says 'there is no process 999999999' cowprobe 999999999
sh -c 'sleep 0 & exec sleep 300' &
parent=$!
sleep 0.1
zombie=$(pgrep -P $parent || true)
ok "a zombie has no memory" says 'no memory|no process' cowprobe "${zombie:-999999998}"
kill $parent

if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    ok "another user's process: exit 3" exits 3 as_nobody cowprobe $pid
    ok "it says why" says 'cannot look at process [0-9]*: .ermission denied' as_nobody cowprobe $pid
    ok "one's own process without privilege" sh -c "$(command -v setpriv) --reuid=65534 --regid=65534 \
        --clear-groups sh -c 'exec $TMP/nobody/bin/cowprobe \$\$' >$TMP/out.json"
    ok "frames are unknown with the reason" holds '[.regions[] | .outside == null and
        (.unknown.outside | test("CAP_SYS_ADMIN"))] | all'
else
    skip "another user's process" "root (to become nobody)"
fi
finish
