#!/bin/sh
# The sizes of cowlab vmmap: what smaps gives is shown whoever looks, sums meet the kernel's own, and
# the table says why they differ.
. "$(dirname "$0")/lib.sh"

nobody_setup
sleep 300 &
pid=$!
setpriv --reuid=65534 --regid=65534 --clear-groups sleep 300 &
own=$!
huge=$own
files=$own
huge_before=
trap 'kill $pid $own $huge $files 2>/dev/null; huge_away; rm -rf "$TMP"' EXIT
until grep -q heap "/proc/$own/maps" 2>/dev/null && grep -qz sleep "/proc/$own/cmdline"; do sleep 0.01; done
until grep -q heap "/proc/$pid/maps" 2>/dev/null && grep -qz sleep "/proc/$pid/cmdline"; do sleep 0.01; done
holds() { [ "$(jq "$1" "$TMP/v.json")" = true ] || { jq -c . "$TMP/v.json" | head -c 4000; return 1; }; }
nothing() { ! grep -E -- "$1" "$2"; } # PATTERN FILE

ok "as root" sh -c "cowlab vmmap $pid --json >v.json && cowlab vmmap $pid --summary >v.txt"
ok "the regions' RSS is the process's" holds '([.regions[].rss_kb] | add) == .footprint.rss_kb'
ok "what is private is its USS" holds '([.regions[].private_kb] | add) == .footprint.uss_kb'
ok "RSS is split in full" holds 'all(.regions[]; .rss_kb == .private_kb + .shared_kb)'
ok "nobody maps more than there is" holds 'all(.regions[]; .resident_kb == null or .resident_kb >= .rss_kb)'
# shellcheck disable=SC2016 # jq and awk expand it
ok "the table says why RESIDENT is not RSS" says '^RESIDENT is .* RSS is what of it this process maps' cat v.txt

if [ "$(id -u)" -eq 0 ]; then
    ok "as nobody" sh -c "cd '$TMP/nobody/work' && setpriv --reuid=65534 --regid=65534 --clear-groups \
        '$TMP/nobody/bin/cowlab' vmmap $own --json >'$TMP/v.json' && setpriv --reuid=65534 --regid=65534 \
        --clear-groups '$TMP/nobody/bin/cowlab' vmmap $own >'$TMP/v.txt'"
    ok "some of it cannot be seen" holds 'any(.regions[]; .resident_kb == null)'
    ok "... and is shown as the least that there is" says '^TOTAL  *[0-9.]+M  *[0-9.]+M\+ ' cat v.txt
    ok "... which the table explains" says '\+: at least; what else of the objects' cat v.txt
    ok "no size is a question mark" nothing '\[ *[0-9][^]]*[?]|^[a-zT][^[]* [?] ' v.txt
    ok "sizes known to smaps are known" holds 'all(.regions[]; .rss_kb != null and .swapped_kb != null and .dirty_kb != null)'
    ok "the least counts for --min" says ' libc|libc.so|\.so' as_nobody cowlab vmmap "$own" --min 200K
else
    skip "as an ordinary user" "root (to become nobody)"
fi

# What was written to files is the page cache's, also while it waits for the disk: 4 MiB of a private mapping, 256 KiB of it
# written since, and 4 MiB of a shared one.
if command -v python3 >/dev/null; then
    head -c 4M /dev/urandom >private.file
    cp private.file shared.file
    python3 -c '
import mmap, os, sys, time
size, files = 4 << 20, [os.open(n + ".file", os.O_RDWR) for n in ("private", "shared")]
maps = [mmap.mmap(files[i], size, flags=f) for i, f in enumerate((mmap.MAP_PRIVATE, mmap.MAP_SHARED))]
for at in range(0, size, 4096):
    maps[0][at]
    maps[1][at] = 1
    if at < 256 << 10: maps[0][at] = 1
print(flush=True)
time.sleep(300)' >files.out &
    files=$!
    until [ -s files.out ]; do sleep 0.01; done
    ok "a process that maps dirty files" sh -c "cowlab vmmap $files --json >v.json"
    ok "the footprint leaves them out, not what was written to a private mapping" \
        holds '.footprint.uss_kb - .footprint.physical_kb >= 7936 and .footprint.physical_kb > 256'
    [ "$(id -u)" -ne 0 ] || ok "without page frames too" sh -c "
        setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin cowlab vmmap $files --json >v2.json &&
        [ \$(jq .footprint.physical_kb v.json) = \$(jq .footprint.physical_kb v2.json) ]"
    ok "clean or dirty is the same" sh -c "sync private.file shared.file; cowlab vmmap $files --json >v2.json &&
        [ \$(jq .footprint.physical_kb v.json) = \$(jq .footprint.physical_kb v2.json) ]"
else
    skip "dirty files" "python3 (make deps)"
fi

# PURGE: half of it was given to madvise(MADV_FREE); what a Mach program allocates as purgeable, which no other memory of it is.
# shellcheck disable=SC2016 # jq expands it
purge='[.regions[] | select(.purge == $p) | .lazy_free_kb]'
if what=$(without python3); then
    skip "memory that the kernel may drop" "$what"
else
    python3 -c '
import mmap, time
m = mmap.mmap(-1, 64 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range(64): m[i * 4096] = 1
m.madvise(8, 0, 32 * 4096)
print(flush=True)
time.sleep(300)' >lazy.out &
    files="$files $!"
    until [ -s lazy.out ]; do sleep 0.01; done
    # The last pages given wait in some CPU's batch and become volatile when that is emptied: at least what smaps
    # says before, at most what it says behind.
    lazy=$!
    volatile() { awk '/^LazyFree:/ { n += $2 } END { print n }' "/proc/$lazy/smaps"; }
    before=$(volatile)
    cowlab vmmap $lazy --json >v.json && cowlab vmmap $lazy >v.txt
    behind=$(volatile)
    between() { [ "$before" -ge 64 ] && [ "$1" -ge "$before" ] && [ "$1" -le "$behind" ]; }
    ok "memory that the kernel may drop" between "$(jq --arg p volatile "$purge | if length == 1 then .[0] else 0 end" v.json)"
    ok "... is volatile" says ' V +$' cat v.txt
    ok "... in the sums too" between "$(sed -n 's/^TOTAL .* \([0-9]*\)K *[0-9]*$/\1/p' v.txt)"
    ok "without smaps nobody knows" sh -c "COWLAB_DISABLE=smaps cowlab vmmap $lazy --json |
        jq -e '[.regions[] | select(.type == \"heap\") | .purge == null and .unknown.purge != null and .lazy_free_kb == null] == [true]'"
fi
mkfifo enter
cowlab run ool-options --pause --db p.db <enter >paused.txt 2>&1 &
lab=$!
exec 8>enter
printf '\n\n' >&8
sender() { for actor in $(pgrep -P $lab cowlab-actor); do cowlab vmmap "$actor" --json | jq -e 'any(.regions[]; .purge == "nonvolatile" and .rss_kb == 4)' && return; done; false; }
until sender >/dev/null; do sleep 0.01; done
ok "a Mach program's purgeable memory, and no other" sh -c "cowlab vmmap $actor >v.txt && cowlab vmmap $actor --json |
    jq -e '[.regions[] | select(.purge == \"nonvolatile\") | .rss_kb] == [4]'"
ok "... is not volatile" says 'SM=PRV +1 +~?N +(\[anon:mach purgeable\])?$' cat v.txt
exec 8>&-
wait $lab

huge_setup
if what=$(without python3); then
    skip "explicit huge pages" "$what"
elif has_cap hugetlb; then
    python3 -c '
import mmap, sys, time
m = mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
m[0] = 1
print(flush=True)
time.sleep(300)' >huge.out &
    huge=$!
    until [ -s huge.out ]; do sleep 0.01; done
    ok "a process with an explicit huge page" sh -c "cowlab vmmap $huge --json >v.json && cowlab vmmap $huge -s >v.txt"
    # shellcheck disable=SC2016 # jq expands it
    ok "the footprint counts it" holds '([.regions[] | select(.type == "huge pages") | .hugetlb_kb] | add) as $h |
        $h > 0 and .footprint.physical_kb >= $h'
    # shellcheck disable=SC2016 # the inner shell expands
    ok "the observer's own test with huge pages" sh -c '"$1" 2>&1 | tee "$2" | grep -qx "ok [0-9]* - test_observer__hugetlb" ||
        { cat "$2"; exit 1; }' - "$BUILD/tests/unit/test_observer" "$TMP/observer"
    ok "the table too, and says so" says 'RSS leaves out [0-9.]+M of explicit huge pages' cat v.txt
else
    skip "explicit huge pages" hugetlb
fi
finish
