#!/bin/sh
# make bench: every tests/bench/NN-*.sh, each a markdown table of ratios against a named peer, taken
# in this one run. Numbers of a shared machine wobble: compare ratios, not milliseconds.
set -u
build=$1
cd "$(dirname "$0")/../.." || exit 1
echo "Machine: $(uname -srm), $(nproc) CPUs, $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
status=0
for bench in tests/bench/[0-9]*.sh; do
    printf '\n### %s\n\n' "$(basename "$bench" .sh)"
    sh "$bench" "$build" || { echo "$bench failed" >&2; status=1; }
done
exit $status
