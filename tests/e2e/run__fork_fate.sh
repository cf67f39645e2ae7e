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

# follows KIND INHERITANCE MODE LETTERS...: what the parent's region says, the child's share mode, or "gone"
follows() {
    kind=$1 inheritance=$2 mode=$3
    shift 3
    {
        echo '{ "scenario": "fate", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 16, "kind": "'"$kind"'" } },
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
        ok "$first then $second: $fate" follows anonymous $fate "$first" "$second"
    done
done
ok "wiped, left out, and taken back" follows anonymous copy SM_COW W N C

# Memory that the message layer gave, which maps some of it anew for a fork.
for kind in ordinary purgeable; do
    ok "$kind, left out by advice" follows $kind none gone D
    ok "$kind, left out by advice and taken back" follows $kind copy SM_COW D C
done

# Moved, and then forked: the parent does not see what the child writes. Moved, and then sent: what it was.
moved() { # KIND: the rule under which it is sent
    cat >moved.json <<END
{ "scenario": "moved", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b", "c"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 16, "kind": "$1" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "settled", "actor": "a", "move": { "region": "r" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "r", "to": "c", "copy": "virtual" } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } },
  { "phase": "receiver_wrote", "actor": "b", "write": { "region": "r", "pages": "all", "stamp": "B" } },
  { "phase": "settled", "actor": "a", "read": { "region": "r", "pages": "all", "stamp": "A" } } ] }
END
    sed "$2" moved.json >now.json
    rm -f moved.db
    cowlab run ./now.json --db moved.db
}
for kind in ordinary purgeable; do
    ok "$kind, moved and forked" moved $kind /ool_send/d
    ok "$kind, moved and sent" moved $kind /fork/,/receiver/d
    case $kind in
    ordinary) why="exactly one whole object: shared copy-on-write" ;;
    *) why="purgeable memory: copied page by page, untouched pages skipped" ;;
    esac
    ok "... as what it was" equals "$why" sqlite3 moved.db "SELECT why FROM transfers WHERE state = 'in_transit'"
done

# Memory of malloc: what is done to whole pages is not done to malloc's own, and ends with the region.
of_malloc() { # BYTES STEPS...: between its writing and its end; then a fork
    cat >malloc.json <<END
{ "scenario": "malloc", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "bytes": $1, "kind": "malloc" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all" } },
  $2{ "phase": "settled", "actor": "a", "unmap": { "region": "r" } },
  { "phase": "mapped", "actor": "a", "map": { "region": "again", "bytes": $1, "kind": "malloc" } },
  { "phase": "populated", "actor": "a", "write": { "region": "again", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "a", "fork": { "as": "b" } },
  { "phase": "settled", "actor": "b", "read": { "region": "again", "pages": "all", "stamp": "A" } } ] }
END
    rm -f malloc.db
    cowlab run ./malloc.json --db malloc.db
}
ok "malloc, an odd size written to its last page's end" of_malloc 8193 ''
for fate in N W; do
    ok "malloc, forked after it was $fate and given back" of_malloc 65536 \
        "{ \"phase\": \"settled\", \"actor\": \"a\", $(advise $fate) }, "
done
finish
