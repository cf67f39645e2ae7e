#!/bin/sh
# Speed of watching: 60-watch.sh BUILD_DIR. Prints a markdown table; the peer is one read of the
# kernel's smaps_rollup of the same process, measured in turns with the samples.
set -eu
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
server=
trap 'exec 9>&-; [ -z "$server" ] || wait "$server" 2>/dev/null || true; rm -rf "$tmp"' EXIT
PATH=$build:$PATH
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }

# A process with MIB resident and KIDS forked children that share it; ends when its input does.
cat >"$tmp/tree.py" <<'PY'
import mmap, os, sys
mib, kids = int(sys.argv[1]), int(sys.argv[2])
m = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(0, mib << 20, 4096):
    m[i] = 1
pids = []
for k in range(kids):
    pid = os.fork()
    if pid == 0:
        sys.stdin.read()
        os._exit(0)
    pids.append(pid)
print(os.getpid(), flush=True)
sys.stdin.read()
for pid in pids:
    os.waitpid(pid, 0)
PY
# A process that maps a half-cached file: 1 GiB of it, or 20000 parts.
cat >"$tmp/files.py" <<'PY'
import ctypes, os, sys, tempfile
file, libc = tempfile.TemporaryFile(), ctypes.CDLL(None)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
size, step = (1 << 30, 1 << 30) if sys.argv[1] == "whole" else (40000 << 12, 1 << 12)
file.truncate(size)
for at in range(0, size, 1 << 20):
    os.pwrite(file.fileno(), b"x" * (1 << 19), at)
for at in reversed(range(0, size, 2 * step)):  # apart: neighbours would become one mapping
    libc.mmap(None, step, 3, 2, file.fileno(), at)  # private, to write
print(os.getpid(), flush=True)
sys.stdin.read()
PY
cat >"$tmp/rollup.py" <<'PY'
import sys, time
path, times = "/proc/%s/smaps_rollup" % sys.argv[1], []
for i in range(15):
    t = time.monotonic_ns()
    open(path).read()
    times.append(time.monotonic_ns() - t)
print(sorted(times)[7])
PY
start() {
    script=$1
    shift
    mkfifo "$tmp/hold"
    python3 "$tmp/$script.py" "$@" <"$tmp/hold" >"$tmp/pid" &
    server=$!
    exec 9>"$tmp/hold"
    until [ -s "$tmp/pid" ]; do
        kill -0 $server || exit 1
        sleep 0.1
    done
    pid=$(cat "$tmp/pid")
}
stop() {
    exec 9>&-
    wait "$server" || true
    server=
    rm -f "$tmp/hold" "$tmp/pid"
}
# watch DB ARGUMENTS...
watch() {
    db=$1
    shift
    cowlab watch "$@" --db "$tmp/$db" >/dev/null 2>&1
}
# The median sample but the first, and the first alone, in ns.
median() {
    sqlite3 "$tmp/$1" "WITH s AS (SELECT dur_ns FROM watch_samples WHERE step > 1 ORDER BY dur_ns)
        SELECT dur_ns FROM s LIMIT 1 OFFSET (SELECT count(*) / 2 FROM s)"
}
first() { sqlite3 "$tmp/$1" "SELECT dur_ns FROM watch_samples WHERE step = 1"; }
row() { awk -v what="$1" -v a="$2" -v b="$3" -v goal="$4" 'BEGIN { printf "| %s | %.1f ms | %.2f times | %s |\n", what, a / 1e6, a / b, goal }'; }

echo "| what | measured | against one read of smaps_rollup | goal |"
echo "|---|---|---|---|"
if [ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 4 ]; then
    start tree 2048 0
    watch plain.db "$pid" --no-frames --every 100ms --for 2s
    peer=$(python3 "$tmp/rollup.py" "$pid")
    watch frames.db "$pid" --every 100ms --for 2s
    peer2=$(python3 "$tmp/rollup.py" "$pid")
    [ "$peer" -le "$peer2" ] || peer=$peer2
    row "a sample of a process with 2 GiB resident, counters only" "$(median plain.db)" "$peer" "1.2 times"
    if [ "$(sqlite3 "$tmp/frames.db" 'SELECT count(distinct_kb) FROM watch_samples')" -gt 0 ]; then
        row "the same with frames" "$(median frames.db)" "$peer" "2.5 times"
        row "its first sample, which asks for every frame" "$(first frames.db)" "$peer" "-"
    fi
    stop
fi
if [ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -ge 3 ]; then
    start tree 1024 63
    watch tree.db "$pid" --children --every 2s --for 9s
    echo "| a fork tree of 64 processes that share 1 GiB copy-on-write | $(median tree.db |
        awk '{ printf "%.0f", $1 / 1e6 }') ms | - | 1000 ms |"
    stop
fi
for what in whole parts; do
    start files $what
    watch $what.db "$pid" --every 500ms --for 3s
    stop
done
echo "| 1 GiB of a file mapped privately, half of it cached | $(median whole.db |
    awk '{ printf "%.1f", $1 / 1e6 }') ms | - | 50 ms |"
echo "| 20000 parts of one file mapped privately | $(median parts.db |
    awk '{ printf "%.1f", $1 / 1e6 }') ms | - | 500 ms |"
