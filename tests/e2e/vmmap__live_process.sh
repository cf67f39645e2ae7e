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
ok "the kernel's own pages have no references to count" holds vmmap '[.regions[] | select(.detail == "[vdso]") | .mapped > 0 and has("ref_count") == false] == [true]'
ok "... in the table too" says ' -  \[vdso\]$' cowlab vmmap "$pid"
ok "what cannot be written is not at risk" holds vmmap '[.regions[] | select(.writable | not) | .at_risk == 0] | all'
ok "cowprobe says so too" holds cowprobe '[.regions[] | select(.protection[1:2] != "w") | .at_risk == 0] | all'
# Quantity by quantity, with what is unknown and why; but who else maps a library changes meanwhile.
# shellcheck disable=SC2016 # jq expands it
told='[.regions[] | . as $r | "start end protection inheritance share_mode pages entry_pages mapped none zero exclusive
    cow debt object shared swapped huge at_risk unknown" | [splits("\\s+")] | map({key: ., value: $r[.]}) | from_entries]'
answers_agree() { # COMMAND...: as somebody, on that user's process
    "$@" cowlab vmmap --json "$whose" >vmmap.json && "$@" cowprobe --runs=0 "$whose" >cowprobe.json || return 1
    jq -S "del(.regions[].unknown.purge) | del(.regions[].unknown | select(. == {})) | $told" vmmap.json >vmmap.told && jq -S "$told" cowprobe.json >cowprobe.told && [ "$(jq length vmmap.told)" -gt 5 ] &&
        diff vmmap.told cowprobe.told
}
whose=$pid
ok "both give the same answers" answers_agree env
if [ "$(id -u)" -eq 0 ]; then
    nobody_setup
    setpriv --reuid=65534 --regid=65534 --clear-groups sleep 300 &
    whose=$!
    trap 'kill $pid $whose 2>/dev/null; rm -rf "$TMP"' EXIT
    until grep -q heap "/proc/$whose/maps" 2>/dev/null && grep -qz sleep "/proc/$whose/cmdline"; do sleep 0.01; done
    ok "to an ordinary user too" answers_agree as_nobody
    ok "who is not told all" holds vmmap '[.regions[].unknown] | any'
    ok "the system's files are opened, and not told: others own them" holds vmmap \
        '[.regions[].unknown.resident | strings] | unique == ["what of a file that others own is in memory is not told"]'
else
    skip "the same answers to an ordinary user" "root (to become nobody)"
fi

if what=$(without python3); then
    skip "who maps a file" "$what"
    finish
fi
# Who maps a file: as many as have it in their mappings, whether any of its pages is mapped here or not.
# A file that is mapped here without a page and by five others with one; the others are here all the time.
map_it='import mmap, os, sys
f = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 65536, mmap.MAP_PRIVATE, mmap.PROT_READ)
f[int(sys.argv[2])] if int(sys.argv[2]) >= 0 else 0
print("mapped", flush=True)
sys.stdin.read()'
head -c 65536 /dev/zero >mapped.file
mkfifo hold
python3 -c "$map_it" mapped.file -1 <hold >mapper.out &
here=$!
exec 9>hold
others=
for byte in 0 1 2 3 4; do
    python3 -c "$map_it" mapped.file $byte <hold 9>&- >>mappers.out &
    others="$others $!"
done
until [ "$(cat mapper.out mappers.out 2>/dev/null | wc -l)" -eq 6 ]; do sleep 0.01; done
count='[.regions[] | select(.detail // .name | endswith("/mapped.file")) | .ref_count]'
inferred='[.regions[] | select(.detail // .name | endswith("/mapped.file")) | .inferred // [] | index("ref_count") != null]'
# Whose mappings may not be read can map it too; so can who is not even seen.
marked=false
[ "$(readlink /proc/self/ns/pid)" = "pid:[4026531836]" ] || marked=true
! cat /proc/[0-9]*/maps 2>&1 >/dev/null | grep -q denied || marked=true
cowlab vmmap --json $here >"$TMP/vmmap.json"
cowprobe --runs=0 $here >"$TMP/cowprobe.json"
for of in vmmap cowprobe; do
    ok "$of: six map the file" holds $of "$count == [6]"
    ok "$of: at least, where not all may be read" holds $of "$inferred == [$marked]"
done
exec 9>&-
# shellcheck disable=SC2086 # one word each
wait $here $others

# Map counts count mappings: who maps a page twice is one process all the same.
python3 -c "$map_it" mapped.file 0 <hold >mapper.out &
here=$!
exec 9>hold
python3 -c 'import mmap, os, sys
f = [mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 65536, mmap.MAP_PRIVATE, mmap.PROT_READ) for i in range(3)]
[m[0] for m in f]
print("mapped", flush=True)
sys.stdin.read()' mapped.file <hold 9>&- >mappers.out &
until [ "$(cat mapper.out mappers.out 2>/dev/null | wc -l)" -eq 2 ]; do sleep 0.01; done
cowlab vmmap --json $here >"$TMP/vmmap.json"
cowprobe --runs=0 $here >"$TMP/cowprobe.json"
for of in vmmap cowprobe; do
    ok "$of: two map the file, one of them three times" holds $of "$count == [2]"
done
exec 9>&-
wait $here

# The first thread has ended, another goes on: the memory is there, and is seen through that one.
python3 -c 'import ctypes, mmap, os, sys, threading
m = mmap.mmap(-1, 64 * 4096, mmap.MAP_PRIVATE)
for i in range(64): m[i * 4096] = 1
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
print("mapped", flush=True)
ctypes.CDLL(None).pthread_exit(None)' <hold >mapper.out &
here=$!
exec 9>hold
until grep -q "^State:.*Z" /proc/$here/status; do sleep 0.01; done
cowlab vmmap --json $here >"$TMP/vmmap.json"
cowprobe --runs=0 $here >"$TMP/cowprobe.json"
for of in vmmap cowprobe; do
    ok "$of: its first thread has ended" holds $of ".pid == $here and any(.regions[]; .pages >= 64 and .mapped >= 64)"
done
exec 9>&-
wait $here
finish
