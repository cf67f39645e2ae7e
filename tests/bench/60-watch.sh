#!/bin/sh
# What a sample of cowlab watch costs: 60-watch.sh BUILD_DIR. The peer is one read of the target's
# smaps_rollup, by this kernel, in the same run.
set -eu
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill $target 2>/dev/null; rm -rf "$tmp"' EXIT
PATH=$build:$PATH

if [ "$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)" -lt 4 ]; then
    echo "skipped: needs 4 GiB of available memory"
    exit 0
fi
# Writes GIB of private memory, forks CHILDREN that only wait, says when all is there.
cat >"$tmp/target.py" <<'END'
import mmap, os, signal, sys, time
gib, children = int(sys.argv[1]), int(sys.argv[2])
memory = mmap.mmap(-1, gib << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for i in range(0, gib << 30, mmap.PAGESIZE):
    memory[i] = 1
pids = []
for _ in range(children):
    pid = os.fork()
    if pid == 0:
        time.sleep(120)
        os._exit(0)
    pids.append(pid)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
try:
    time.sleep(120)
finally:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
END
start() { # GIB CHILDREN
    : >"$tmp/out"
    python3 "$tmp/target.py" "$1" "$2" >"$tmp/out" &
    target=$!
    until grep -q ready "$tmp/out"; do sleep 0.1; done
}
stop() {
    kill "$target"
    wait "$target" 2>/dev/null || true
    target=
}
# Median time of a sample in ms, after the first, which reads everything anew.
sample() {
    rm -f "$tmp/w.db"
    cowlab watch "$target" --every 300ms --for 3s --lines --db "$tmp/w.db" "$@" >/dev/null 2>&1
    sqlite3 "$tmp/w.db" "SELECT printf('%.1f', dur_ns / 1e6) FROM watch_samples WHERE step > 1 ORDER BY dur_ns
        LIMIT 1 OFFSET (SELECT (count(*) - 1) / 2 FROM watch_samples WHERE step > 1)"
}
rollup() {
    python3 -c "
import time
best = []
for _ in range(9):
    t = time.perf_counter()
    open('/proc/$target/smaps_rollup').read()
    best.append(time.perf_counter() - t)
print('%.1f' % (sorted(best)[4] * 1000))"
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

start 2 0
peer=$(rollup)
plain=$(sample --no-frames)
frames=$(sample)
stop
echo "| a sample of a process with 2 GiB resident | ms | times smaps_rollup | goal |"
echo "|---|---:|---:|---|"
echo "| smaps_rollup, one read | $peer | 1.00 | |"
echo "| without frames | $plain | $(ratio "$plain" "$peer") | 1.2 |"
echo "| with frames | $frames | $(ratio "$frames" "$peer") | 2.5 |"
start 1 63
tree=$(sample --children)
stop
echo
echo "| a tree of 64 processes that share 1 GiB copy-on-write | ms | goal |"
echo "|---|---:|---|"
echo "| one sample with frames | $tree | under 1000 |"
