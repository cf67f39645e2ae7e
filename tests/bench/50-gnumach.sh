#!/bin/sh
# What the GNU Mach backend takes for the small scenarios that it shares with Linux, in one boot:
# 50-gnumach.sh BUILD_DIR. The peer is the Linux backend with the same scenarios, in turns; QEMU
# emulates every instruction, so this is processor time, its too. Prints a markdown table.
set -eu
build=$(cd "$1" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
PATH=$build:$PATH
if ! [ -r build/gnumach/guest ] || ! command -v qemu-system-x86_64 >/dev/null; then
    echo "(skipped: needs the GNU Mach kernel and QEMU, make deps-gnumach)"
    exit 0
fi
COWLAB_GNUMACH=$PWD/build/gnumach
export COWLAB_GNUMACH
names=$(cowlab list | awk '$2 ~ /gnumach/ && $2 ~ /linux/ { print $1 }' | grep -Ev 'large|huge|published')

# Processor time in ms of running them on a backend, children's too.
cpu_ms() {
    # shellcheck disable=SC2016,SC2086 # sh's own words; names
    sh -c 'cowlab run "$@" --db "$0" >/dev/null 2>&1; times' "$tmp/$1.db" $names --backend "$1" |
        awk -F '[ms ]+' 'END { printf "%d\n", 1000 * (60 * $1 + $2 + 60 * $3 + $4) }'
}
for _ in 1 2 3 4 5; do
    cpu_ms gnumach >>"$tmp/gnumach"
    cpu_ms linux >>"$tmp/linux"
done
median() { sort -n "$1" | sed -n 3p; }
echo "| what | processor time | against the same on Linux | goal |"
echo "|---|---|---|---|"
awk -v g="$(median "$tmp/gnumach")" -v l="$(median "$tmp/linux")" -v n="$(echo "$names" | wc -l)" 'BEGIN {
    printf "| %d small scenarios on GNU Mach, one boot | %d ms | %.1f times | 3000 ms |\n", n, g, g / l }'
