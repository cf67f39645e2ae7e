#!/bin/sh
# What looking at pages costs: a 2 GiB region, half of it copied after a fork, seen by the probes, by
# the kernel's smaps and in page-types' way. Needs root (frames) and 6 GiB free.
#   10-probes.sh BUILD_DIR [MIB]
set -eu
build=$1
mib=${2:-2048}
if [ "$(id -u)" -ne 0 ]; then
    echo "(skipped: needs frames, so root)"
    exit 0
fi
free=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
if [ "$free" -lt $((mib * 3)) ]; then
    echo "(skipped: needs $((mib * 3)) MiB of free memory, $free are)"
    exit 0
fi
objects=$(find "$build/probes" -name '*.o' ! -name cowprobe.o)
# shellcheck disable=SC2086 # a list of files
${CC:-cc} -std=gnu11 -O2 -D_GNU_SOURCE -I. -o "$build/bench_probes" tests/bench/bench_probes.c $objects -lcjson -lpthread
echo "| a region of $mib MiB, half copied after a fork (best of several, interleaved) | ms | times smaps | goal |"
echo "|---|---:|---:|---|"
"$build/bench_probes" "$mib"
