#!/bin/sh
# A page carries the number that it had in the region that was mapped. What is sent from an offset, and
# sent on in part, is read with its stamp all the same, wherever its pages lie now; and a stamp that is
# not the right one is seen.
. "$(dirname "$0")/lib.sh"

# scenario OFFSET BYTES KIND LETTER: 8 pages, a part of them to b, a part of that to c, read and written
scenario() {
    cat <<END
{ "scenario": "parts", "language": 1, "title": "Parts of parts", "question": "Do the contents arrive?",
  "actors": ["a", "b", "c"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 8, "kind": "$3" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "G" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "r", "to": "b", "copy": "virtual", "offset": $1, "bytes": $2 } },
  { "phase": "received", "actor": "b", "ool_receive": { "region": "r" } },
  { "phase": "receiver_read", "actor": "b", "read": { "region": "r", "pages": "all", "stamp": "$4" } },
  { "phase": "in_transit", "actor": "b", "ool_send": { "region": "r", "to": "c", "copy": "physical", "offset": $(($2 / 3)), "bytes": $(($2 / 2)) } },
  { "phase": "received", "actor": "c", "ool_receive": { "region": "r" } },
  { "phase": "receiver_read", "actor": "c", "read": { "region": "r", "pages": "all", "stamp": "$4" } },
  { "phase": "receiver_wrote", "actor": "c", "write": { "region": "r", "pages": "all", "stamp": "H" } },
  { "phase": "settled", "actor": "c", "read": { "region": "r", "pages": "all", "stamp": "H" } } ] }
END
}

# Stamps that lie across two pages at b, which writes all of them, and are whole again at c. The
# two offsets are one page together.
across() { # OFFSET OFFSET
    cat <<END
{ "scenario": "across", "language": 1, "title": "Across", "question": "Do the contents arrive?",
  "actors": ["a", "b", "c"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 16, "kind": "ordinary" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "A" } },
  { "phase": "transferred", "actor": "a", "ool_send": { "region": "r", "to": "b", "copy": "virtual", "offset": $1, "bytes": 60000 } },
  { "phase": "transferred", "actor": "b", "ool_receive": { "region": "r" } },
  { "phase": "receiver_read", "actor": "b", "read": { "region": "r", "pages": "all" } },
  { "phase": "receiver_wrote", "actor": "b", "write": { "region": "r", "pages": "all", "stamp": "B" } },
  { "phase": "receiver_read", "actor": "b", "read": { "region": "r", "pages": "all", "stamp": "B" } },
  { "phase": "transferred", "actor": "b", "ool_send": { "region": "r", "to": "c", "copy": "virtual", "offset": $2, "bytes": 40000 } },
  { "phase": "transferred", "actor": "c", "ool_receive": { "region": "r" } },
  { "phase": "settled", "actor": "c", "read": { "region": "r", "pages": "all", "stamp": "B" } } ] }
END
}

backends=linux
[ ! -e "$TOP/build/gnumach/guest" ] || backends="linux gnumach"
for backend in $backends; do
    for part in "0 32768 anonymous" "4096 20480 anonymous" "12288 8192 ordinary" "1 32000 ordinary" \
        "4072 16384 anonymous" "4090 20000 ordinary" "100 20 ordinary" "12289 12288 ordinary"; do
        # shellcheck disable=SC2086 # offset, bytes and kind
        scenario $part G >part.json
        ok "$backend: bytes from an offset ($part)" cowlab run ./part.json --backend "$backend" --db "$TMP/t.db"
    done
    for offsets in "8 4088" "4088 8" "4085 11" "1 4095"; do
        # shellcheck disable=SC2086 # two offsets
        across $offsets >across.json
        ok "$backend: stamps across two pages ($offsets)" cowlab run ./across.json --backend "$backend" --db "$TMP/t.db"
    done
    scenario 12288 16384 ordinary X >part.json
    ok "$backend: another letter is seen" exits 1 cowlab run ./part.json --backend "$backend" --db "$TMP/wrong.db"
    ok "$backend: stamps were read" equals 1 sqlite3 "$TMP/t.db" \
        "SELECT count(*) > 10 AND min(verdict = 'held') FROM checks WHERE name = 'stamps' AND backend = '$backend'"
done
[ "$backends" = linux ] && skip "gnumach: parts from an offset" "gnumach (make deps-gnumach)"

# Move in memory, then sent on: what was beside the range is looked for where it is now.
cat >moved.json <<'END'
{ "scenario": "moved", "language": 1, "title": "t", "question": "q?", "actors": ["a", "b"], "steps": [
  { "phase": "mapped", "actor": "a", "map": { "region": "r", "pages": 4, "kind": "anonymous" } },
  { "phase": "populated", "actor": "a", "write": { "region": "r", "pages": "all", "stamp": "G" } },
  { "phase": "in_transit", "actor": "a", "ool_send": { "region": "r", "to": "b", "copy": "physical", "offset": 4196, "bytes": 5000 } },
  { "phase": "received", "actor": "b", "ool_receive": { "region": "r" } },
  { "phase": "settled", "actor": "b", "move": { "region": "r" } },
  { "phase": "receiver_read", "actor": "b", "read": { "region": "r", "pages": "all", "stamp": "G" } } ] }
END
ok "a received part that moved is read" cowlab run ./moved.json --db "$TMP/t.db"
finish
