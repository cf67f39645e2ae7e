#!/bin/sh
# What a fork does with a region is two flags side by side in the kernel: leaving it out wins over wiping
# it, in whatever order they were set, and copy takes both back. Every sequence of two, as the region's
# inheritance, and as what the child has.
. "$(dirname "$0")/lib.sh"

advise() { # of one letter: the step
    case $1 in
    N) echo '"inherit": { "region": "r", "inheritance": "none" }' ;;
    C) echo '"inherit": { "region": "r", "inheritance": "copy" }' ;;
    W) echo '"madvise": { "region": "r", "advice": "WIPEONFORK" }' ;;
    D) echo '"madvise": { "region": "r", "advice": "DONTFORK" }' ;;
    esac
}

# follows INHERITANCE MODE LETTERS...: what the parent's region says, the child's share mode, or "gone"
follows() {
    inheritance=$1 mode=$2
    shift 2
    {
        echo '{ "scenario": "fate", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 2, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all" } },'
        for letter; do
            echo "  { \"phase\": \"settled\", \"actor\": \"a\", $(advise "$letter") },"
        done
        echo '  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } } ] }'
    } >fate.json
    rm -f fate.db
    cowlab run ./fate.json --db fate.db >out || { cat out; return 1; }
    equals "$inheritance|$mode" sqlite3 fate.db "SELECT (SELECT inheritance FROM timeline WHERE observed = 'a'
        AND phase = 'transferred'), ifnull((SELECT share_mode FROM timeline WHERE observed = 'b'), 'gone')"
}

for first in N C W D; do
    for second in N C W D; do
        case $first$second in
        *[ND] | [ND]W) fate="none gone" ;;
        *W) fate="zero SM_EMPTY" ;;
        *C) fate="copy SM_COW" ;;
        esac
        # shellcheck disable=SC2086 # two words
        ok "$first then $second: $fate" follows $fate "$first" "$second"
    done
done
ok "wiped, left out, and taken back" follows copy SM_COW W N C
finish
