#!/bin/sh
# The nth allocation, and the nth opening of a descriptor, of the lab fails while it reads a guest: it
# says so and exits, or copes; it never crashes, stores a wrong number, or leaves QEMU running.
# FAULT_STRIDE=k tries every kth n (default: such that a kind takes about 40 tries).
. "$(dirname "$0")/lib.sh"

real=$(command -v qemu-system-x86_64 || true)
if ! [ -r "$TOP/build/gnumach/guest" ] || [ -z "$real" ]; then
    skip "nth allocation or descriptor fails" "GNU Mach kernel and QEMU (make deps-gnumach)"
    finish
fi
case $BUILD in
*asan*) skip "nth allocation or descriptor fails" "LD_PRELOAD (the sanitizer has malloc already)"; finish ;;
esac
export COWLAB_GNUMACH="$TOP/build/gnumach"
mark=cowlab-mach-fault-$$
${CC:-cc} -O1 -shared -fPIC -D_GNU_SOURCE -o fail_nth.so "$TOP/tests/faults/fail_nth.c" -ldl || exit 1
# The faults are for the lab, not for QEMU.
mkdir fake
printf '#!/bin/sh\nunset LD_PRELOAD\nexec %s "$@"\n' "$real" >fake/qemu-system-x86_64
chmod +x fake/qemu-system-x86_64

rows="SELECT step, observed, share_mode, ref_count, resident, copied, reused FROM timeline"
cowlab run ool-transit --backend gnumach --db good.db >/dev/null || exit 1
sqlite3 good.db "$rows" >good.rows

faulty() { # KIND N
    rm -f t.db t.db-wal t.db-shm
    FAIL_KIND=$1 FAIL_NTH=$2 FAIL_COUNT=$TMP/count COWLAB_FAULT_MARK=$mark PATH=$TMP/fake:$PATH \
        LD_PRELOAD=$TMP/fail_nth.so timeout 300 cowlab run ool-transit --backend gnumach --db t.db >out 2>err
}
judge() { # KIND N STATUS
    case $3 in
    0) [ "$(sqlite3 t.db "$rows")" = "$(cat good.rows)" ] || { echo "$1 $2: coped, but stored something else"; return 1; } ;;
    2 | 3 | 4) [ -s err ] || { echo "$1 $2: exit $3 without a word"; return 1; } ;;
    *) echo "$1 $2: status $3"; cat err; return 1 ;;
    esac
}
left() { grep -lz "^COWLAB_FAULT_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null; }

every_nth() { # KIND
    faulty "$1" 0
    total=$(cat count)
    [ "$total" -gt 0 ] || { echo "no calls were counted"; return 1; }
    stride=${FAULT_STRIDE:-$(((total + 39) / 40))}
    n=1
    while [ "$n" -le "$total" ]; do
        faulty "$1" "$n"
        judge "$1" "$n" $? || return 1
        n=$((n + stride))
    done
    sleep 0.3
    [ -z "$(left)" ] || { echo "left behind: $(left)"; return 1; }
    echo "$total calls, every ${stride}th failed"
}

ok "the nth allocation fails" every_nth memory
ok "the nth descriptor fails" every_nth descriptor
finish
