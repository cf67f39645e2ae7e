#!/bin/sh
# What can go wrong with a guest: parts that are missing, output that is damaged, cut or rubbish, a
# guest that panics or hangs, QEMU or the lab killed. The run fails and says why, finished steps are
# kept, nothing stays behind. A QEMU of our own, in PATH before the real one, does the damage.
# shellcheck disable=SC2016 # what a fake does is expanded in the fake
. "$(dirname "$0")/lib.sh"

db=$TMP/t.db
export COWLAB_GNUMACH="$TOP/build/gnumach"
real=$(command -v qemu-system-x86_64 || true)
mark=cowlab-mach-$$
ours() { grep -lz "^COWLAB_MACH_MARK=$mark\$" /proc/[0-9]*/environ 2>/dev/null | sed 's#/proc/\([0-9]*\)/.*#\1#'; }
run() { COWLAB_MACH_MARK=$mark cowlab run "$@" --backend gnumach --db "$db"; }
run_with_parts_in() { COWLAB_GNUMACH=$1 run fork-write; }
run_with_path() { PATH=$1 run fork-write; }

mkdir "$TMP/none"
ln -s "$BUILD/cowlab" "$TMP/none/cowlab"
if [ -n "$real" ]; then
    ok "missing parts are named, exit 3" exits 3 run_with_parts_in /nonexistent
    ok "... with what to do" says "make deps-gnumach" run_with_parts_in /nonexistent
    doctor_without_parts() { COWLAB_GNUMACH=/nonexistent cowlab doctor; }
    ok "the doctor knows" says "gnumach +no +.*make deps-gnumach" doctor_without_parts
fi
ok "missing QEMU is named, exit 3" says "needs QEMU" run_with_path "$TMP/none"
if ! [ -r "$COWLAB_GNUMACH/guest" ] || [ -z "$real" ]; then
    skip "a guest that is disturbed" "GNU Mach kernel and QEMU (make deps-gnumach)"
    finish
fi

# fake BODY: a QEMU that does BODY; $real is the real one.
fake() {
    mkdir -p "$TMP/fake"
    printf '#!/bin/sh\nreal=%s\n%s\n' "$real" "$1" >"$TMP/fake/qemu-system-x86_64"
    chmod +x "$TMP/fake/qemu-system-x86_64"
}
# fails_saying PATTERN [DEADLINE_MS]: with the fake, the run exits 4, says so, and leaves nothing
# running. The deadline is far off but where it is what is meant: a boot takes its time.
fails_saying() {
    PATH=$TMP/fake:$PATH COWLAB_DEADLINE_MS=${2:-300000} run fork-write >"$TMP/out" 2>&1
    rc=$?
    [ "$rc" -eq 4 ] || { echo "exit status $rc"; cat "$TMP/out"; return 1; }
    # messages are folded to the terminal's width
    tr '\n' ' ' <"$TMP/out" | tr -s ' ' | grep -Eq -- "$1" || { echo "nothing matches: $1"; cat "$TMP/out"; return 1; }
    nothing_left
}
nothing_left() {
    for _ in $(seq 600); do
        [ -n "$(ours)" ] || return 0
        sleep 0.05
    done
    echo "left behind: $(ours)"
    return 1
}

fake 'exec "$real" "$@" | sed "s/ Z 0 4 / Z 0 5 /"'
ok "a changed record is noticed" fails_saying "wrong checksum"
ok "... and the three steps before it are kept" equals "3|failed" sqlite3 "$db" \
    "SELECT max(f.step), r.status FROM runs r JOIN footprint f USING (run_id) ORDER BY started_at DESC LIMIT 1"
fake '"$real" "$@" | head -c 8000'
ok "a console that is cut is noticed" fails_saying "ended before its work was done|ended with"
fake '"$real" "$@" | sed "/ E 0 /d"'
ok "a lost record is noticed" fails_saying "came where"
fake '"$real" "$@" | tr "@" "#"'
ok "rubbish is no success" fails_saying "ended before its work was done"
fake 'exec head -c 300000 /dev/urandom'
ok "noise is no success" fails_saying "the guest|record"
fake 'exec tr "\\0" "x" </dev/zero'
ok "a line without an end is no hang" fails_saying "without an end"
fake 'exec sleep 60'
ok "silence ends at the deadline" fails_saying "printed nothing for 2000 ms" 2000
fake 'echo "qemu: cannot allocate"; exit 1'
ok "what QEMU said is in the message" fails_saying "qemu: cannot allocate"
fake 'exec "$real" -nodefaults -m 128 -nic none -display none -serial stdio -no-reboot \
    -kernel "$COWLAB_GNUMACH/kernel" -append console=com0'
ok "a panic of the kernel is said at once" fails_saying "kernel panicked.*No bootstrap code loaded"
fake '"$real" "$@" | sed "s/@[0-9a-f]*/@0123456789abcdef/"'
ok "records of another session are refused" fails_saying "nonce of another plan"

# The real QEMU killed, then the lab killed, at instants spread over boot and run.
kill_at() {
    run fork-write fork-prefork fork-write >/dev/null 2>&1 &
    lab=$!
    sleep "$2"
    for p in $(ours); do
        case $1 in
        qemu) [ "$p" = "$lab" ] || kill -9 "$p" 2>/dev/null ;;
        lab) [ "$p" != "$lab" ] || kill -9 "$p" 2>/dev/null ;;
        esac
    done
    wait "$lab"
    nothing_left
}
kill_many() {
    for ms in 010 030 050 070 090 110 130 150 180 220; do
        kill_at "$1" "0.$ms" || return 1
    done
}
ok "QEMU killed at any instant leaves nothing" kill_many qemu
ok "the lab killed at any instant leaves no QEMU" kill_many lab
ok "the database is sound" equals ok sqlite3 "$db" 'PRAGMA integrity_check'
interrupt() {
    fake 'exec sleep 60'
    PATH=$TMP/fake:$PATH COWLAB_MACH_MARK=$mark cowlab run fork-write --backend gnumach --db "$db" >/dev/null 2>&1 &
    lab=$!
    sleep 0.5
    kill -TERM "$lab"
    wait "$lab"
    rc=$?
    [ "$rc" -eq 130 ] || { echo "exit status $rc"; return 1; }
    nothing_left
}
ok "an interrupt ends it at once, exit 130" interrupt
# What limits the lab limits the machine that it starts: without this check QEMU would be killed.
group=$(awk -F: '$2 == "memory" { print "/sys/fs/cgroup/memory" $3 "/cowlab-test" }' /proc/self/cgroup)
limited() {
    echo 200M >"$group/memory.limit_in_bytes" || return 1
    # shellcheck disable=SC2016 # for the inner shell
    sh -c 'echo $$ >"$1/cgroup.procs"; exec cowlab run ool-large --backend gnumach --db "$2"' sh "$group" "$db"
}
if [ -n "$group" ] && mkdir "$group" 2>/dev/null; then
    ok "a machine larger than the lab's own limit is refused, exit 3" exits 3 limited
    rmdir "$group"
else
    skip "a machine larger than the lab's own limit is refused" cgroup
fi
ok "what Mach has no word for is said before it starts, exit 3" exits 3 run fork-thp
finish
