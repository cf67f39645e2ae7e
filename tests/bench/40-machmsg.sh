#!/bin/sh
# The message layer beside the bare system calls and beside the ways to copy: 40-machmsg.sh BUILD_DIR
# Every figure is a median over interleaved runs between two processes, of three transfers each, of
# memory that is new and populated each time; of the variants of a method
# (chunk sizes, vmsplice) the fastest counts. Prints markdown.
set -eu
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bench=$tmp/bench
${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 -Ilab/machmsg/include -o "$bench" tests/bench/bench_machmsg.c \
    "$build/libmachmsg.a" -lpthread
available=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)

# runs N NAME COMMAND...: appends N lines of a method's output to a file.
once() {
    name=$1
    shift
    timeout 60 "$bench" "$@" >>"$tmp/$name" || echo "$name failed" >&2
}
# median COLUMN NAME: in ns.
median() { sort -n -k "$1" "$tmp/$2" | awk -v c="$1" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'; }
# best COLUMN NAME...: the smallest of the medians.
best() {
    column=$1
    shift
    for name in "$@"; do median "$column" "$name"; done | sort -n | head -n 1
}
ms() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1e6 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

mib=256
bytes=$((mib * 1048576))
copies="socket-64K socket-256K socket-1M pipe-64K pipe-1M pipe-vmsplice process_vm_readv-256K process_vm_readv-16M"
for _ in 1 2; do
    once layer copy layer $bytes
    once bare copy bare $bytes
    for m in $copies; do
        once "$m" copy "$m" $bytes
        once "$m.kept" copy "$m" $bytes kept
    done
done
row() { # LABEL COLUMN-1 VALUE, COLUMN-2 VALUE
    echo "| $1 | $(ms "$2") | $(ratio "$2" "$layer") | $(ms "$3") | $(ratio "$3" "$layer_read") |"
}
layer=$(best 1 layer) layer_read=$(best 2 layer)
echo "Virtual copy of $mib MiB of ordinary memory, 4 KiB pages, from before the send until it is received"
echo "(untouched), and until the receiver has read every page:"
echo
echo "| | received, ms | times the layer | and read, ms | times the layer |"
echo "|---|---:|---:|---:|---:|"
row "the layer, VIRTUAL" "$layer" "$layer_read"
row "the same system calls, bare" "$(best 1 bare)" "$(best 2 bare)"
for kept in "" .kept; do
    into="fresh memory"
    [ -z "$kept" ] || into="a buffer in use"
    row "Unix socket, into $into" "$(best 1 socket-64K$kept socket-256K$kept socket-1M$kept)" \
        "$(best 2 socket-64K$kept socket-256K$kept socket-1M$kept)"
    row "pipe, into $into" "$(best 1 pipe-64K$kept pipe-1M$kept pipe-vmsplice$kept)" \
        "$(best 2 pipe-64K$kept pipe-1M$kept pipe-vmsplice$kept)"
    row "process_vm_readv, into $into" "$(best 1 process_vm_readv-256K$kept process_vm_readv-16M$kept)" \
        "$(best 2 process_vm_readv-256K$kept process_vm_readv-16M$kept)"
done
echo
echo "Goals: at most 1.3 times the bare calls; the copies into fresh memory 10 times slower, and slower still"
echo "after every page was read. What the layer does not do is copy; what it does is take the sender's page"
echo "table entries away, one per page, and let the receiver fault on what it reads."
echo
if grep -q '\[never\]\|\[deny\]' /sys/kernel/mm/transparent_hugepage/shmem_enabled 2>/dev/null; then
    echo "With huge pages: skipped, shmem huge pages are off (/sys/kernel/mm/transparent_hugepage/shmem_enabled)."
else
    echo "With huge pages as this machine gives them: the row above; see shmem_enabled."
fi
echo
echo "| bytes | layer: send to receive, ms | ns a page | bare, ms | process_vm_readv into fresh memory, ms |"
echo "|---|---:|---:|---:|---:|"
for size in 4K 32K 64K 1M 16M 64M 256M 1G 2G; do
    case $size in
    *K) n=$((${size%K} * 1024)) ;;
    *M) n=$((${size%M} * 1048576)) ;;
    *G) n=$((${size%G} * 1073741824)) ;;
    esac
    [ $((n * 3 / 1048576)) -lt "$available" ] || continue
    [ "$n" -lt 2147483648 ] || n=$((n - 4096)) # a descriptor's size has 32 bits, process_vm_readv's 31
    rm -f "$tmp"/t.*
    for _ in 1 2; do
        once t.layer copy layer "$n"
        once t.bare copy bare "$n"
        once t.readv copy process_vm_readv-16M "$n"
    done
    echo "| $size | $(ms "$(best 1 t.layer)") | $(awk -v t="$(best 1 t.layer)" -v n="$n" 'BEGIN { printf "%.0f", t / (n / 4096) }') | $(ms "$(best 1 t.bare)") | $(ms "$(best 1 t.readv)") |"
done
echo
echo "Up to 32 KiB the layer copies, as XNU does. Above, what grows is the sender's page table entries that"
echo "are taken away, and the kernel's walk over the object's pages when it is sealed; receiving does not grow."
echo
last=$(($(nproc) - 1))
for _ in 1 2 3 4 5 6 7; do
    for m in bare plain reply; do
        once "trip.$m.one" trip "$m" 10000 0 0
        [ "$last" -eq 0 ] || once "trip.$m.two" trip "$m" 5000 0 "$last"
    done
done
echo "| round trip of a small message | on one CPU, us | times the bare pair | on two CPUs, us | times the bare pair |"
echo "|---|---:|---:|---:|---:|"
us() { awk -v n="$1" 'BEGIN { printf "%.2f", n / 1000 }'; }
for m in bare plain reply; do
    case $m in
    bare) label="bare SEQPACKET pair, sendmsg and recvmsg" ;;
    plain) label="mach_msg, both sides hold a send right" ;;
    reply) label="mach_msg, with a send-once reply right made and sent along" ;;
    esac
    one=$(best 1 "trip.$m.one")
    printf '| %s | %s | %s |' "$label" "$(us "$one")" "$(ratio "$one" "$(best 1 trip.bare.one)")"
    if [ "$last" -gt 0 ]; then
        two=$(best 1 "trip.$m.two")
        echo " $(us "$two") | $(ratio "$two" "$(best 1 trip.bare.two)") |"
    else
        echo " one CPU only | |"
    fi
done
echo
echo "Goal: at most 1.5 times the bare pair. On two CPUs most of the time goes into waking the other side."
echo
if command -v strace >/dev/null; then
    n=2000
    for m in bare plain; do
        strace -f -c -e trace=network,poll,futex,process_vm_readv -o "$tmp/calls.$m" "$bench" trip $m $n >/dev/null
    done
    echo "System calls of $((n + 100)) round trips (two messages each), by strace -c; recvfrom takes a queue slot,"
    echo "and of sendto one half carries the messages, the other gives slots back:"
    echo
    echo "| | bare pair | mach_msg | for each message |"
    echo "|---|---:|---:|---:|"
    for call in sendmsg sendto recvmsg recvfrom poll futex process_vm_readv; do
        count() { awk -v c=$call '$NF == c { print $4 }' "$tmp/calls.$1"; }
        b=$(count bare) p=$(count plain)
        echo "| $call | ${b:-0} | ${p:-0} | $(awk -v p="${p:-0}" -v n=$n 'BEGIN { printf "%.2f", p / (2 * (n + 100)) }') |"
    done
else
    echo "System calls: skipped, no strace."
fi
