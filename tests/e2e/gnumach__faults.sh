#!/bin/sh
# The nth allocation, and the nth opening of a descriptor, of the lab fails while it reads a guest: it
# says so and exits, or copes; it never crashes, stores a wrong number, or leaves QEMU running.
. "$(dirname "$0")/lib.sh"

real=$(command -v qemu-system-x86_64 || true)
if ! [ -r "$TOP/build/gnumach/guest" ] || [ -z "$real" ]; then
    skip "nth allocation or descriptor fails" "GNU Mach kernel and QEMU (make deps-gnumach)"
    finish
fi
. "$TOP/tests/faults/lib.sh"
export COWLAB_GNUMACH="$TOP/build/gnumach"
# The faults are for the lab, not for QEMU.
mkdir fake
printf '#!/bin/sh\nunset LD_PRELOAD\nexec %s "$@"\n' "$real" >fake/qemu-system-x86_64
chmod +x fake/qemu-system-x86_64

rows="SELECT step, observed, share_mode, ref_count, resident, copied, reused FROM timeline"
cowlab run ool-transit --backend gnumach --db good.db >/dev/null || exit 1
sqlite3 good.db "$rows" >good.rows

run_it() { PATH=$TMP/fake:$PATH timeout 300 cowlab run ool-transit --backend gnumach --db "$1"; }
judge_coped() { [ "$1" -eq 0 ] && [ "$(sqlite3 t.db "$rows")" = "$(cat good.rows)" ]; }

ok "the nth allocation fails" every_nth memory 40
ok "the nth descriptor fails" every_nth descriptor 40
finish
